/** Zabbix' own containers and how its database is dumped and restored, for whoever backs it up: hive-zabbix. */

export const zabbixContainers = { server: 'hive-zabbix-server', web: 'hive-zabbix-web', database: 'hive-zabbix-db' } as const
export const zabbixVolume = 'hive-zabbix-data'

export interface DatabaseBackup {
  /** Commands run in this container of the repository server. */
  readonly container: string
  /** Writes the dump to its output. */
  readonly dump: readonly string[]
  /** Reads a dump from its input, in place of what is there. */
  readonly restore: readonly string[]
  /** Containers that must not run meanwhile. */
  readonly stopped: readonly string[]
  /** Prints something where values were kept already; fails where there are no tables yet. */
  readonly holding: readonly string[]
  /** Of the file, without what compresses it: hive-builder's. */
  readonly extension: 'sql'
}

/** The passwords are the container's own variables, so they are in no command line. */
export function zabbixDatabaseBackup(database: 'postgresql' | 'mariadb'): DatabaseBackup {
  const common = { container: zabbixContainers.database, stopped: [zabbixContainers.server, zabbixContainers.web], extension: 'sql' } as const
  if (database === 'postgresql')
    return {
      ...common,
      dump: ['sh', '-c', 'exec pg_dump -h 127.0.0.1 -U "$POSTGRES_USER" --clean --if-exists --no-owner "$POSTGRES_DB"'],
      holding: ['sh', '-c', 'exec psql -h 127.0.0.1 -U "$POSTGRES_USER" -Atq -c "select 1 from history_uint limit 1" "$POSTGRES_DB"'],
      restore: ['sh', '-c', 'exec psql -h 127.0.0.1 -U "$POSTGRES_USER" -q -1 -v ON_ERROR_STOP=1 -o /dev/null "$POSTGRES_DB"'],
    }
  return {
    ...common,
    dump: ['sh', '-c', 'MYSQL_PWD="$MYSQL_PASSWORD" exec mysqldump -h 127.0.0.1 -u "$MYSQL_USER" --single-transaction --no-tablespaces "$MYSQL_DATABASE"'],
    holding: ['sh', '-c', 'MYSQL_PWD="$MYSQL_PASSWORD" exec mysql -h 127.0.0.1 -u "$MYSQL_USER" -N -e "select 1 from history_uint limit 1" "$MYSQL_DATABASE"'],
    restore: ['sh', '-c', 'MYSQL_PWD="$MYSQL_PASSWORD" exec mysql -h 127.0.0.1 -u "$MYSQL_USER" "$MYSQL_DATABASE"'],
  }
}
