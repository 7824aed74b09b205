/** "Hive Server": what only hosts of the swarm have. */
import { agentSilent, storageHung } from './agent.ts'
import { defineFor } from './define.ts'
import { dockerDown } from './linux-parts.ts'

const SERVER = 'Hive Server'
const { item, trigger, discovery, template } = defineFor(SERVER)

const nodeReady = trigger({
  name: 'Swarm does not reach the host',
  expression: `max(/${SERVER}/hive.swarm.node.ready,{$HIVE.NODE.WINDOW})=0`,
  severity: 'high',
  dependsOn: [agentSilent, dockerDown],
  description: 'Its agent and its docker answer, and swarm takes it to be down: ports 2377, 7946 and 4789 between the hosts, and docker node ls.',
})

const RESOURCES = 'hive.drbd.discovery'

const quorumLost = trigger({
  discovery: RESOURCES,
  name: 'Volume {#RESOURCE}: no quorum',
  expression: `last(/${SERVER}/hive.drbd.quorum[{#RESOURCE}])=0`,
  severity: 'high',
  dependsOn: [agentSilent, storageHung],
  description: 'This host may not write to it. hivecoord doctor says why and what to do.',
})

const diskBad = trigger({
  discovery: RESOURCES,
  name: 'Volume {#RESOURCE}: disk is not up to date',
  expression: `last(/${SERVER}/hive.drbd.disk[{#RESOURCE}])<>"UpToDate" and last(/${SERVER}/hive.drbd.disk[{#RESOURCE}])<>"Diskless client"`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [agentSilent, storageHung],
  description: 'Inconsistent while it fills is passing; anything else is not: hivecoord doctor.',
})

const splitBrain = trigger({
  discovery: RESOURCES,
  name: 'Volume {#RESOURCE}: a connection stands alone',
  expression: `last(/${SERVER}/hive.drbd.standalone[{#RESOURCE}])>0`,
  severity: 'high',
  dependsOn: [agentSilent, storageHung],
  description: 'The hosts have stopped mirroring to one another, mostly because of a split brain. hivecoord doctor shows which side has what.',
})

const peersLost = trigger({
  discovery: RESOURCES,
  name: 'Volume {#RESOURCE}: not connected to a host that is up',
  expression: `min(/${SERVER}/hive.drbd.peers.lost[{#RESOURCE}],{$HIVE.DRBD.PEER.WINDOW})>0`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1} of them',
  dependsOn: [splitBrain, agentSilent, storageHung],
  description: 'Hosts that swarm takes to be down are not counted: those have an alert of their own.',
})

const outOfSync = trigger({
  discovery: RESOURCES,
  name: 'Volume {#RESOURCE}: copies differ',
  expression: `min(/${SERVER}/hive.drbd.oos[{#RESOURCE}],{$HIVE.DRBD.SYNC.WINDOW})>0 and last(/${SERVER}/hive.drbd.oos[{#RESOURCE}])>=max(/${SERVER}/hive.drbd.oos[{#RESOURCE}],{$HIVE.DRBD.SYNC.WINDOW})`,
  severity: 'warning',
  operationalData: '{ITEM.LASTVALUE1}',
  dependsOn: [peersLost, splitBrain, diskBad, agentSilent, storageHung],
  description: 'Connected hosts differ and do not come nearer: a resync that stands still, or what a verify found. hivecoord doctor.',
})

const resources = discovery({
  key: RESOURCES,
  name: 'Mirrored volumes',
  every: 3600,
  macros: ['{#RESOURCE}'],
  items: [
    {
      key: 'hive.drbd.disk[{#RESOURCE}]',
      name: 'Volume {#RESOURCE}: disk',
      valueType: 'text',
      every: 180,
      description: 'DRBD\'s state of this host\'s disk. "Diskless client" on a host that only votes.',
    },
    { key: 'hive.drbd.role[{#RESOURCE}]', name: 'Volume {#RESOURCE}: role', valueType: 'char', every: 60 },
    { key: 'hive.drbd.quorum[{#RESOURCE}]', name: 'Volume {#RESOURCE}: quorum', valueType: 'unsigned', every: 60 },
    { key: 'hive.drbd.connected[{#RESOURCE}]', name: 'Volume {#RESOURCE}: connected hosts', valueType: 'unsigned', every: 60 },
    { key: 'hive.drbd.peers.lost[{#RESOURCE}]', name: 'Volume {#RESOURCE}: hosts that are up and not connected', valueType: 'unsigned', every: 60 },
    { key: 'hive.drbd.standalone[{#RESOURCE}]', name: 'Volume {#RESOURCE}: connections that stand alone', valueType: 'unsigned', every: 60 },
    {
      key: 'hive.drbd.oos[{#RESOURCE}]',
      name: 'Volume {#RESOURCE}: out of sync',
      valueType: 'unsigned',
      units: 'B',
      every: 60,
      description: 'By the connected host that differs most. What is due to hosts that are away is not in it.',
    },
  ],
  triggers: [quorumLost, diskBad, splitBrain, peersLost, outOfSync],
  graphs: [{ name: 'Volume {#RESOURCE}: out of sync', keys: ['hive.drbd.oos[{#RESOURCE}]'] }],
  description: "DRBD's resources of this host, whatever their names.",
})

export const serverTemplate = template({
  description: 'A host of the swarm: its place in it, and mirrored volumes.',
  macros: [
    { name: '{$HIVE.NODE.WINDOW}', value: '5m', description: 'How long swarm does not reach a host before that is told; longer than an agent may be silent.' },
    { name: '{$HIVE.DRBD.PEER.WINDOW}', value: '5m', description: 'How long a volume is not connected before that is told.' },
    { name: '{$HIVE.DRBD.SYNC.WINDOW}', value: '30m', description: 'How long connected copies differ without coming nearer before that is told.' },
  ],
  items: [
    item({
      key: 'hive.swarm.node.ready',
      name: 'Swarm: reaches the host',
      valueType: 'unsigned',
      every: 60,
      description: 'As the leader of the swarm says, from where it comes.',
    }),
    item({ key: 'hive.swarm.node.availability', name: 'Swarm: availability', valueType: 'char', every: 60, description: 'active, pause or drain.' }),
    item({ key: 'hive.swarm.node.role', name: 'Swarm: role', valueType: 'char', every: 60, description: 'leader, manager or worker.' }),
  ],
  discoveries: [resources],
  triggers: [nodeReady],
})
