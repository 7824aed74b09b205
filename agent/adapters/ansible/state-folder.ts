/** Where the agent keeps what it must find again: /var/lib/hive-agent unless the environment says otherwise. */
export const stateFolder = (): string => process.env['HIVE_AGENT_STATE'] ?? '/var/lib/hive-agent'
