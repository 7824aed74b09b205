/** What partitions are called and typed. Pure. */

export interface NewPartition {
  /** Of the disk, resolved. */
  readonly disk: string
  /** Of the partition, as the kernel will call it. */
  readonly device: string
  readonly startSector: number
  readonly sectors: number
  readonly type: string
  /** Of GPT; '' for none. */
  readonly name: string
  /** The table that the disk gets first, because it has none. */
  readonly newTable: 'gpt' | 'dos' | undefined
}

/** "Linux LVM", as sfdisk writes it in each kind of table. */
export const lvmPartitionType = { gpt: 'E6D6D379-F507-44C2-A23C-238F2A3DF928', dos: '8e' } as const

/** sdb → sdb1; a name that ends with a digit has a p between (nvme1n1p1). */
export const partitionDevice = (disk: string, number: number): string => `${disk}${/\d$/.test(disk) ? 'p' : ''}${number}`
