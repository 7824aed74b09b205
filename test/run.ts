/**
 * Runs the test suites named on the command line (unit, ec2, packages, vm, lab; none: all) and closes with the line `N passed, N failed`.
 * Where this machine can't hold a suite it runs the rest and says what it left out.
 */
import { globSync } from 'node:fs'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { ec2Obstacle } from './ec2/obstacle.ts'
import { labObstacle } from './lab/obstacle.ts'
import { packagesObstacle } from './packages/obstacle.ts'
import { vmObstacle } from './vm/obstacle.ts'

const root = new URL('..', import.meta.url).pathname
const wanted = process.argv.slice(2)
const suites = wanted.length === 0 ? ['unit', 'ec2', 'packages', 'vm', 'lab'] : wanted
const obstacles: Readonly<Record<string, () => string | undefined>> = { ec2: ec2Obstacle, packages: packagesObstacle, vm: vmObstacle, lab: labObstacle }
const totals = { passed: 0, failed: 0 }
const left: string[] = []
/** Suites that may run beside one another; a suite waits for those before it in its lane. The lab has the machine to itself. */
const lanes: readonly (readonly string[])[][] = [[['unit']], [['packages', 'vm'], ['ec2']], [['lab']]]

for (const beside of lanes) await Promise.all(beside.map((lane) => runLane(lane.filter((suite) => suites.includes(suite)))))
for (const reason of left) console.log(`left out ${reason}`)
console.log(`${totals.passed} passed, ${totals.failed} failed`)
process.exit(totals.failed === 0 ? 0 : 1)

async function runLane(lane: readonly string[]): Promise<void> {
  for (const suite of lane) {
    const obstacle = obstacles[suite]?.()
    if (obstacle === undefined) await runSuite(suite)
    else left.push(`${suite}: ${obstacle}`)
  }
}

/**
 * Unit tests share one process; the others have one for each file. Those of the lab mostly wait for what hosts notice by time, so that two go
 * beside each other; of the other suites one goes after the other, because they share the machine. A report is shown in one piece where another
 * suite runs beside it, else as it comes.
 */
async function runSuite(suite: string): Promise<void> {
  const files = globSync(`test/${suite}/**/*.test.ts`, { cwd: root })
    .sort()
    .map((file) => root + file)
  const together = suite === 'unit'
  const stream = run({
    files,
    cwd: root,
    concurrency: together ? true : suite === 'lab' ? 2 : 1,
    isolation: together ? 'none' : 'process',
    ...(together ? { timeout: 120_000 } : {}),
  })
  const isLeaf = (details: { type?: string | undefined }): boolean => details.type !== 'suite'
  stream.on('test:pass', ({ details, skip }) => {
    if (isLeaf(details) && skip === undefined) totals.passed += 1
  })
  stream.on('test:fail', ({ details }) => {
    if (isLeaf(details)) totals.failed += 1
  })
  const report = stream.compose(new spec())
  const alone = suites.length === 1 || suite === 'lab'
  let text = ''
  report.on('data', (piece: unknown) => {
    if (alone) process.stdout.write(String(piece))
    else text += String(piece)
  })
  await new Promise((resolve) => report.on('end', resolve))
  process.stdout.write(text)
}
