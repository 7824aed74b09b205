/** The command lines that are run where a service's data is. Pure. */

/**
 * A command of the inventory, by `sh -c`. Of its pipelines every part counts: where sh knows no pipefail (dash) and there is bash, a command
 * with a pipe in it is run by bash, with the echo of sh. A command that wants it otherwise begins with `set +o pipefail;`.
 */
export const shellCommand = (command: string): readonly string[] => ['sh', '-c', withPipefail, 'sh', command]

const withPipefail = [
  'if (set -o pipefail) 2>/dev/null; then set -o pipefail',
  'else case $1 in *"|"*) if command -v bash >/dev/null 2>&1; then exec bash -O xpg_echo -o pipefail -c "$1"; fi ;; esac',
  'fi',
  'eval "$1"',
].join('\n')

/** All entries of a folder as a tar, not compressed. */
export const packDirectory = (directory: string): readonly string[] => ['sh', '-c', 'cd -- "$1" && LC_ALL=C exec tar -cf - .', 'sh', directory]

export const readFile = (file: string): readonly string[] => ['sh', '-c', 'exec cat -- "$1"', 'sh', file]

/** Its input becomes the file; tells the bytes that arrived. */
export const writeFile = (file: string): readonly string[] => [
  'sh',
  '-c',
  'umask 077; mkdir -p -- "$(dirname -- "$1")" && cat > "$1" && wc -c < "$1"',
  'sh',
  file,
]

export const removeFile = (file: string): readonly string[] => ['sh', '-c', 'rm -f -- "$1"', 'sh', file]

/** Changes nothing: whether the tar that is there can read all of it. */
export const testArchive = (archive: string): readonly string[] => ['sh', '-c', 'exec tar -tzf "$1" > /dev/null', 'sh', archive]

/** Empties the folder and fills it from the archive; the folder itself stays, since a volume may be mounted there. */
export const unpackInto = (directory: string, archive: string, strip: number): readonly string[] => [
  'sh',
  '-c',
  [
    'cd -- "$1" || exit',
    'for f in ./* ./.[!.]* ./..?*; do',
    '  if [ -e "$f" ] || [ -L "$f" ]; then rm -rf -- "$f" || exit; fi',
    'done',
    `exec tar -xzf "$2"${strip === 0 ? '' : ` --strip-components=${strip}`}`,
  ].join('\n'),
  'sh',
  directory,
  archive,
]

/** Where an archive is put before it is unpacked; /tmp of a container with an init system is emptied at each start of it. */
export const restoreArchive = (standalone: boolean): string => (standalone ? '/root/restore.tar.gz' : '/tmp/restore.tar.gz')

const tarRemarks = /file changed as we read it|file removed before we read it|socket ignored|file is the archive; not dumped/i

/** Exit code 1 of GNU tar for a folder in use: it packed all, and tells what changed meanwhile. Everything else is a failure. */
export const onlyRemarks = (exitCode: number, lines: readonly string[]): boolean =>
  exitCode === 1 && lines.length > 0 && lines.every((line) => tarRemarks.test(line) || /exit delayed|some files differ/i.test(line))
