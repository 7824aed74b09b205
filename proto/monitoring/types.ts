/**
 * What is watched, as data: agents send the items, the coordinator renders the same into Zabbix' templates. Values arrive by the sender
 * protocol, so items and discovery rules are trappers, apart from calculated ones.
 */

export type ValueType = 'float' | 'unsigned' | 'char' | 'text' | 'log'
export type Severity = 'info' | 'warning' | 'average' | 'high' | 'disaster'

export interface Macro {
  /** With its braces: `{$HIVE.AGENT.SILENCE}`. */
  readonly name: string
  readonly value: string
  readonly description: string
}

export interface Item {
  /** 32 hexadecimal digits, a UUID of version 4 by its form; the same for the same template and key for ever. */
  readonly uuid: string
  readonly key: string
  readonly name: string
  readonly valueType: ValueType
  readonly units?: string
  /** Seconds between values, where the site reports every 60 seconds; other paces scale it. */
  readonly every: number
  /** As Zabbix writes periods. */
  readonly history: string
  /** Numbers only; `0` for the others. */
  readonly trends: string
  /** Formula of an item that Zabbix computes itself, every `every` seconds; agents don't send it. */
  readonly formula?: string
  /**
   * Sent without a time, so that Zabbix' own clock dates it, and never queued: what says that the agent is there now.
   */
  readonly live?: true
  readonly description: string
}

export interface Trigger {
  readonly uuid: string
  readonly name: string
  /** Syntax of Zabbix 5.4 and later. */
  readonly expression: string
  readonly recovery?: string
  readonly severity: Severity
  readonly dependsOn?: readonly Trigger[]
  readonly manualClose?: true
  /** Shown beside the name where Zabbix has room for it. */
  readonly operationalData?: string
  readonly description: string
}

export interface Graph {
  readonly uuid: string
  readonly name: string
  /** Of the same discovery. */
  readonly keys: readonly string[]
}

export interface Discovery {
  readonly uuid: string
  readonly key: string
  readonly name: string
  readonly every: number
  /** With their braces: `{#RESOURCE}`. The first ones tell things apart; every key of `items` names these. */
  readonly macros: readonly string[]
  /** How long Zabbix keeps what is not discovered any more. */
  readonly lifetime: string
  readonly items: readonly Item[]
  readonly triggers: readonly Trigger[]
  readonly graphs: readonly Graph[]
  readonly description: string
}

export interface Template {
  readonly uuid: string
  readonly name: string
  readonly description: string
  readonly macros: readonly Macro[]
  readonly items: readonly Item[]
  readonly discoveries: readonly Discovery[]
  readonly triggers: readonly Trigger[]
}
