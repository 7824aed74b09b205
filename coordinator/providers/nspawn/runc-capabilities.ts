/**
 * A stand-in for runc on hosts made here. Docker 20.10 asks for all capabilities of the kernel when a container is privileged, and
 * such a host may lack some (CAP_SYS_RESOURCE), so that no privileged container starts. Docker 23 and later ask only for those
 * the host has; this does the same for the older one. It can go when the base root has a newer docker.
 */
export const runcPath = 'usr/local/sbin/runc'

export const runcScript = `#!/bin/sh
# A privileged container gets the capabilities that this host has, as newer dockers ask for; the installed one asks for all that the kernel knows.
file=
previous=
for word; do
  case $previous in
    --bundle) file=$word/config.json ;;
    --process) file=$word ;;
  esac
  previous=$word
done
# Health checks come by here each second: most files name no more than docker gives any container, and Python is not started for them.
usual='CHOWN|DAC_OVERRIDE|FSETID|FOWNER|MKNOD|NET_RAW|SETGID|SETUID|SETFCAP|SETPCAP|NET_BIND_SERVICE|SYS_CHROOT|KILL|AUDIT_WRITE'
[ -z "$file" ] || ! grep -oE '"CAP_[A-Z_]+"' "$file" | grep -qvE "^.CAP_($usual).$" || /usr/bin/python3 -I -S - "$file" <<'PYTHON'
import json, sys
names = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE".split()
bounding = next(int(line.split()[1], 16) for line in open("/proc/self/status") if line.startswith("CapBnd"))
have = {"CAP_" + name for bit, name in enumerate(names) if bounding >> bit & 1}
config = json.load(open(sys.argv[1]))
process = config.get("process", config)
sets = process.get("capabilities") or {}
kept = {kind: [cap for cap in caps if cap in have] for kind, caps in sets.items()}
if kept != sets:
    process["capabilities"] = kept
    json.dump(config, open(sys.argv[1], "w"))
PYTHON
exec /usr/sbin/runc "$@"
`
