/** hive-agent.service as the bootstrap installs it; packaging/hive-agent.service is the same for packages. */
export const agentUnit = `[Unit]
Description=hive agent
Wants=network-online.target
After=network-online.target local-fs.target
StartLimitIntervalSec=0

[Service]
Type=notify
# systemd-notify, a child of the agent, does the talking.
NotifyAccess=all
ExecStart=/usr/bin/hive-agent serve
# One pool of freed memory instead of one for each thread: some megabytes less at rest.
Environment=MALLOC_ARENA_MAX=1
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
TimeoutStartSec=60
TimeoutStopSec=30
# An agent whose event loop hangs is started again.
WatchdogSec=120
# The agent ends its steps in order; what is left of them after that, or after a crash, goes with it.
KillMode=mixed
# Steps run package managers and Ansible here: no limit on memory or tasks.
MemoryMax=infinity
TasksMax=infinity
OOMScoreAdjust=-500
LimitNOFILE=65536
StandardOutput=journal

[Install]
WantedBy=multi-user.target
`
