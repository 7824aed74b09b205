/**
 * "Hive Swarm": what belongs to no single host. The leader of the swarm tells what swarm knows (services, replicas, what is to be found),
 * each host what only it can see (a task's use of CPU and memory, the fill of its volumes, units in its container). Items have the task in
 * their key, which is its number, or the host's name for services that run everywhere; so they go on where a task moves to another host.
 */
import { defineFor } from './define.ts'

const SWARM = 'Hive Swarm'
const { item, trigger, discovery, template } = defineFor(SWARM)

const swarmSilent = trigger({
  name: 'Swarm has had no leader that reports for {$HIVE.SWARM.SILENCE}',
  expression: `nodata(/${SWARM}/hive.swarm.ping,{$HIVE.SWARM.SILENCE})=1`,
  severity: 'high',
  description: 'Most of the hosts are away, or swarm has lost its majority: docker node ls, hivecoord status.',
})

const drained = trigger({
  name: 'A host of the swarm has been drained or paused for {$HIVE.DRAINED.MAX}',
  expression: `min(/${SWARM}/hive.swarm.nodes.inactive,{$HIVE.DRAINED.MAX})>0`,
  severity: 'info',
  manualClose: true,
  operationalData: '{ITEM.LASTVALUE1} of them',
  dependsOn: [swarmSilent],
  description: 'hivecoord node list; hivecoord node activate',
})

const SERVICES = 'hive.service.discovery'
const S = '{#SERVICE_NAME}'
const of = (key: string): string => `/${SWARM}/hive.service.${key}[${S}]`

const replicasMissing = trigger({
  discovery: SERVICES,
  name: `Service ${S}: fewer tasks run than there should`,
  expression: `last(${of('replicas.running')})<last(${of('replicas.desired')}) and (last(/${SWARM}/hive.swarm.nodes.down)=0 or max(${of('replicas.running')},{$HIVE.FAILOVER.WINDOW})<min(${of('replicas.desired')},{$HIVE.FAILOVER.WINDOW}))`,
  recovery: `last(${of('replicas.running')})>=last(${of('replicas.desired')})`,
  severity: 'high',
  operationalData: '{ITEM.LASTVALUE1} of {ITEM.LASTVALUE2}',
  dependsOn: [swarmSilent],
  description: 'Where a host is down, swarm gets {$HIVE.FAILOVER.WINDOW} to start its tasks elsewhere. docker service ps {#SERVICE_NAME}',
})

const replicasPercent = trigger({
  discovery: SERVICES,
  name: `Service ${S}: less than 100 % of its tasks run`,
  expression: `last(${of('replicas')})<100 and last(/${SWARM}/hive.swarm.nodes.down)=0`,
  recovery: `last(${of('replicas')})>=100`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [replicasMissing, swarmSilent],
  description: '',
})

const serviceRestarted = trigger({
  discovery: SERVICES,
  name: `Service ${S} was restarted`,
  expression: `last(${of('uptime')})<{$HIVE.SERVICE.UPTIME.MIN} and last(${of('age')})-last(${of('uptime')})>{$HIVE.SERVICE.ROLLOUT} and max(/${SWARM}/hive.swarm.nodes.down,{$HIVE.SERVICE.UPTIME.MIN})=0`,
  severity: 'warning',
  manualClose: true,
  operationalData: 'up for {ITEM.LASTVALUE1}',
  dependsOn: [replicasMissing, replicasPercent, swarmSilent],
  description: 'A task started that neither a change of the service nor the loss of a host accounts for. docker service ps {#SERVICE_NAME}',
})

const cpuHigh = trigger({
  discovery: SERVICES,
  name: `Service ${S}: CPU above {$HIVE.SERVICE.CPU.MAX:"${S}"} %`,
  expression: `avg(${of('cpu')},5m)>{$HIVE.SERVICE.CPU.MAX:"${S}"}`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [swarmSilent],
  description: 'Of its limit; of all cores of the host where it has none.',
})

const memoryHigh = trigger({
  discovery: SERVICES,
  name: `Service ${S}: memory above {$HIVE.SERVICE.MEMORY.MAX:"${S}"} %`,
  expression: `avg(${of('memory.percent')},5m)>{$HIVE.SERVICE.MEMORY.MAX:"${S}"}`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [swarmSilent],
  description: 'Of its limit; of all memory of the host where it has none. At the limit the kernel kills it.',
})

const average = (key: string): string => `avg(last_foreach(//hive.task.${key}[${S},*],5m))`

const services = discovery({
  key: SERVICES,
  name: 'Services',
  every: 300,
  macros: ['{#SERVICE_NAME}', '{#STANDALONE}'],
  items: [
    { key: `hive.service.replicas.running[${S}]`, name: `Service ${S}: tasks that run`, valueType: 'unsigned', every: 60 },
    { key: `hive.service.replicas.desired[${S}]`, name: `Service ${S}: tasks that should run`, valueType: 'unsigned', every: 60 },
    { key: `hive.service.replicas[${S}]`, name: `Service ${S}: tasks that run, of those that should`, valueType: 'float', units: '%', every: 60 },
    {
      key: `hive.service.uptime[${S}]`,
      name: `Service ${S}: up for`,
      valueType: 'float',
      units: 'uptime',
      every: 300,
      description: 'Since the youngest of its tasks has been running. Nothing comes while none runs.',
    },
    {
      key: `hive.service.age[${S}]`,
      name: `Service ${S}: time since it was last changed`,
      valueType: 'float',
      units: 'uptime',
      every: 300,
      description: 'By a deploy, or by hand.',
    },
    {
      key: `hive.service.cpu[${S}]`,
      name: `Service ${S}: CPU`,
      valueType: 'float',
      units: '%',
      every: 60,
      formula: average('cpu'),
      description: 'Average of its tasks.',
    },
    {
      key: `hive.service.memory[${S}]`,
      name: `Service ${S}: memory`,
      valueType: 'float',
      units: 'B',
      every: 60,
      formula: average('memory'),
      description: 'Average of its tasks.',
    },
    {
      key: `hive.service.memory.percent[${S}]`,
      name: `Service ${S}: memory, of its limit`,
      valueType: 'float',
      units: '%',
      every: 60,
      formula: average('memory.percent'),
      description: 'Average of its tasks.',
    },
    {
      key: `hive.service.memory.limit[${S}]`,
      name: `Service ${S}: limit of memory`,
      valueType: 'float',
      units: 'B',
      every: 300,
      formula: `avg(last_foreach(//hive.task.memory.limit[${S},*],15m))`,
      description: 'Average of its tasks.',
    },
  ],
  triggers: [replicasMissing, replicasPercent, serviceRestarted, cpuHigh, memoryHigh],
  graphs: [
    { name: `Service ${S}: tasks`, keys: [`hive.service.replicas.running[${S}]`, `hive.service.replicas.desired[${S}]`] },
    { name: `Service ${S}: CPU`, keys: [`hive.service.cpu[${S}]`] },
    { name: `Service ${S}: memory`, keys: [`hive.service.memory[${S}]`, `hive.service.memory.limit[${S}]`] },
  ],
  description: 'All services of the swarm.',
})

const tasks = discovery({
  key: 'hive.task.discovery',
  name: 'Tasks of services',
  every: 300,
  macros: ['{#SERVICE_NAME}', '{#TASK}'],
  lifetime: '1d',
  items: [
    {
      key: `hive.task.cpu[${S},{#TASK}]`,
      name: `Service ${S}, task {#TASK}: CPU`,
      valueType: 'float',
      units: '%',
      every: 60,
      history: '7d',
      trends: '90d',
      description: 'Of its limit; of all cores of the host where it has none.',
    },
    {
      key: `hive.task.memory[${S},{#TASK}]`,
      name: `Service ${S}, task {#TASK}: memory`,
      valueType: 'unsigned',
      units: 'B',
      every: 60,
      history: '7d',
      trends: '90d',
      description: 'Without what the kernel can drop at once.',
    },
    {
      key: `hive.task.memory.percent[${S},{#TASK}]`,
      name: `Service ${S}, task {#TASK}: memory, of its limit`,
      valueType: 'float',
      units: '%',
      every: 60,
      history: '7d',
      trends: '90d',
    },
    {
      key: `hive.task.memory.limit[${S},{#TASK}]`,
      name: `Service ${S}, task {#TASK}: limit of memory`,
      valueType: 'unsigned',
      units: 'B',
      every: 300,
      history: '7d',
      trends: '90d',
      description: "The host's memory where it has no limit.",
    },
  ],
  description: 'From the host where the task runs.',
})

const VOLUMES = 'hive.volume.discovery'
const volume = `hive.volume.pused[${S},{#TASK},{#PATH}]`

const volumes = discovery({
  key: VOLUMES,
  name: 'Volumes of services',
  every: 3600,
  macros: ['{#SERVICE_NAME}', '{#TASK}', '{#PATH}', '{#VOLUME}'],
  items: [
    { key: volume, name: `Service ${S}, task {#TASK}: volume {#VOLUME} at {#PATH}, in use`, valueType: 'float', units: '%', every: 600 },
    {
      key: `hive.volume.free[${S},{#TASK},{#PATH}]`,
      name: `Service ${S}, task {#TASK}: volume {#VOLUME} at {#PATH}, free`,
      valueType: 'unsigned',
      units: 'B',
      every: 600,
    },
  ],
  triggers: [
    trigger({
      discovery: VOLUMES,
      name: `Service ${S}: volume {#VOLUME} at {#PATH} is more than {$HIVE.VOLUME.PUSED.MAX:"{#VOLUME}"} % full`,
      expression: `min(/${SWARM}/${volume},{$HIVE.VOLUME.WINDOW})>{$HIVE.VOLUME.PUSED.MAX:"{#VOLUME}"}`,
      severity: 'warning',
      operationalData: '{ITEM.LASTVALUE1}',
      dependsOn: [swarmSilent],
      description: 'Give it more size in the inventory and run hivecoord build-volumes, or delete what is not needed.',
    }),
  ],
  description: 'Looked at on the host where the task runs.',
})

const STANDALONE = 'hive.standalone.discovery'

const innerFailed = trigger({
  discovery: STANDALONE,
  name: `Service ${S}: units in its container failed`,
  expression: `last(/${SWARM}/hive.inner.failed.count[${S},{#TASK}])>0 and length(last(/${SWARM}/hive.inner.failed[${S},{#TASK}]))>0`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE2}',
  dependsOn: [swarmSilent],
  description: 'hivecoord exec {#SERVICE_NAME} systemctl --failed',
})

const standalone = discovery({
  key: STANDALONE,
  name: 'Standalone services',
  every: 3600,
  macros: ['{#SERVICE_NAME}', '{#TASK}'],
  items: [
    {
      key: `hive.inner.failed.count[${S},{#TASK}]`,
      name: `Service ${S}, task {#TASK}: units that failed`,
      valueType: 'unsigned',
      every: 60,
      description: '99 where systemd in the container does not answer.',
    },
    { key: `hive.inner.failed[${S},{#TASK}]`, name: `Service ${S}, task {#TASK}: which units failed`, valueType: 'text', every: 60 },
  ],
  triggers: [innerFailed],
  description: 'Services whose container runs systemd.',
})

const INNER = 'hive.inner.discovery'
const inner = (key: string): string => `hive.inner.${key}[${S},{#TASK},{#INNER}]`

const innerServices = discovery({
  key: INNER,
  name: 'Units in standalone services',
  every: 3600,
  macros: ['{#SERVICE_NAME}', '{#TASK}', '{#INNER}'],
  items: [
    {
      key: inner('uptime'),
      name: `Service ${S}, task {#TASK}: {#INNER} up for`,
      valueType: 'float',
      units: 'uptime',
      every: 300,
      description: 'Nothing comes while it does not run.',
    },
    {
      key: inner('lag'),
      name: `Service ${S}, task {#TASK}: {#INNER} started after its container`,
      valueType: 'float',
      units: 's',
      every: 300,
      description: 'Time between the two starts.',
    },
  ],
  triggers: [
    trigger({
      discovery: INNER,
      name: `Service ${S}: {#INNER} was restarted`,
      expression: `last(/${SWARM}/${inner('uptime')})<{$HIVE.INNER.UPTIME.MIN} and last(/${SWARM}/${inner('lag')})>{$HIVE.SERVICE.ROLLOUT}`,
      severity: 'warning',
      manualClose: true,
      operationalData: 'up for {ITEM.LASTVALUE1}',
      dependsOn: [swarmSilent],
      description: 'It started long after its container. hivecoord exec {#SERVICE_NAME} journalctl -u {#INNER}',
    }),
  ],
  description: 'Units that are enabled in containers with systemd. Each host tells those of its own containers.',
})

export const swarmTemplate = template({
  description: 'The swarm of a site: services, their tasks, volumes and inner units.',
  macros: [
    { name: '{$HIVE.SWARM.SILENCE}', value: '5m', description: 'How long no leader of the swarm was heard before that is told.' },
    { name: '{$HIVE.DRAINED.MAX}', value: '1d', description: 'How long a host may be drained or paused.' },
    { name: '{$HIVE.FAILOVER.WINDOW}', value: '5m', description: 'What swarm gets to start the tasks of a dead host elsewhere.' },
    { name: '{$HIVE.SERVICE.UPTIME.MIN}', value: '28800', description: 'Seconds after which a restart of a service is no alert any more.' },
    { name: '{$HIVE.INNER.UPTIME.MIN}', value: '28800', description: 'Seconds after which a restart of a unit in a container is no alert any more.' },
    { name: '{$HIVE.SERVICE.ROLLOUT}', value: '600', description: 'Seconds between a change and a start that still belongs to it.' },
    { name: '{$HIVE.SERVICE.CPU.MAX}', value: '80', description: 'Per cent, on average of 5 minutes.' },
    { name: '{$HIVE.SERVICE.MEMORY.MAX}', value: '90', description: 'Per cent, on average of 5 minutes.' },
    { name: '{$HIVE.VOLUME.PUSED.MAX}', value: '90', description: 'Per cent of a volume in use.' },
    { name: '{$HIVE.VOLUME.WINDOW}', value: '25m', description: 'How long a volume is that full before it is told: three values.' },
  ],
  items: [
    item({ key: 'hive.swarm.ping', name: 'Swarm: has a leader that reports', valueType: 'unsigned', every: 60, live: true, description: 'Always 1.' }),
    item({ key: 'hive.swarm.leader', name: 'Swarm: leader', valueType: 'char', every: 60 }),
    item({ key: 'hive.swarm.nodes', name: 'Swarm: hosts', valueType: 'unsigned', every: 60 }),
    item({ key: 'hive.swarm.nodes.down', name: 'Swarm: hosts that are down', valueType: 'unsigned', every: 60 }),
    item({ key: 'hive.swarm.nodes.inactive', name: 'Swarm: hosts that are drained or paused', valueType: 'unsigned', every: 60 }),
    item({ key: 'hive.swarm.managers', name: 'Swarm: managers', valueType: 'unsigned', every: 60 }),
    item({ key: 'hive.swarm.managers.reachable', name: 'Swarm: managers that are reachable', valueType: 'unsigned', every: 60 }),
  ],
  discoveries: [services, tasks, volumes, standalone, innerServices],
  triggers: [swarmSilent, drained],
})
