/** The unit that runs rsyslog for the site's logs, and how its files are rotated. */
import { errorLog, logConfig, logFolder, logUnit, otherLog } from '../../../proto/log-files.ts'
import type { Site } from '../../inventory/site.ts'

export const unitPath = `/etc/systemd/system/${logUnit}`

/** Beside the distribution's rsyslog, so that neither can keep the other from starting. */
export const unitFile = `[Unit]
Description=Logs of the site's services
Documentation=man:rsyslogd(8)
After=network.target
Before=docker.service

[Service]
Type=notify
ExecStart=/usr/sbin/rsyslogd -n -iNONE -f ${logConfig}
ExecReload=/bin/kill -HUP $MAINPID
StateDirectory=rsyslog/hive
StateDirectoryMode=0700
UMask=0022
LimitNOFILE=16384
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
`

export const rotationPath = '/etc/logrotate.d/hive-services'

/** `su`: folders that a group may write to, as Ubuntu's /var/log, are refused without. */
export const rotation = ({ logs }: Site): string => `${logFolder}/*.log
${errorLog}
${otherLog}
{
	daily
	rotate ${logs.retentionDays}
	maxage ${logs.retentionDays}
	missingok
	notifempty
	compress
	delaycompress
	su root ${logs.group}
	create 0640 root ${logs.group}
	sharedscripts
	postrotate
		systemctl kill -s HUP ${logUnit} 2>/dev/null || true
	endscript
}
`
