/** Zabbix' words for how grave a problem is, by its numbers. */
export const severityWords = ['not classified', 'information', 'warning', 'average', 'high', 'disaster'] as const
