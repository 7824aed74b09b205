/** Why this machine can't hold the lab, or undefined where it can. */
export function labObstacle(): string | undefined {
  if (process.platform !== 'linux') return `hosts need Linux, this is ${process.platform}`
  if (process.getuid?.() !== 0) return 'making hosts and network namespaces needs root'
  return undefined
}
