/** How file systems of EFS are mounted: https://docs.aws.amazon.com/efs/latest/ug/mounting-fs-nfs-mount-settings.html */

const common = 'nfsvers=4.1,rsize=1048576,wsize=1048576'

/**
 * The option `o` of a volume, letter by letter as hive-builder's, so that its volumes are taken as they are. hard: a container waits
 * for a file system that does not answer, rather than losing what it wrote.
 */
export const volumeMountOptions = (server: string): string => `addr=${server},${common},hard,timeo=600,retrans=2,noresvport`

/**
 * Of the mount that makes a volume's folder. soft: a step that cannot reach the file system fails (after about half a minute, timeo
 * is in tenths of a second) instead of hanging in the kernel.
 */
export const folderMountOptions = `${common},soft,timeo=100,retrans=2,noresvport,nosuid,nodev,noexec`
