/** The emulator and its front together, as a test needs them. */
import { EC2Client } from '@aws-sdk/client-ec2'
import { startEmulator } from './emulator.ts'
import { Front } from './front.ts'

export interface Ec2 {
  /** http://127.0.0.1:PORT of the front. */
  readonly endpoint: string
  /** What a program needs in its environment to work against it. Names no region. */
  readonly env: Readonly<Record<string, string>>
  readonly front: Front
  /** Through the front, as a program's. */
  readonly client: (region?: string) => EC2Client
  /** An empty account, no faults, nothing recorded. */
  readonly reset: () => Promise<void>
  readonly stop: () => Promise<void>
}

export async function startEc2(signal = new AbortController().signal): Promise<Ec2> {
  const emulator = await startEmulator(signal)
  const front = await Front.start(emulator.endpoint).catch(async (error: unknown) => {
    await emulator.stop()
    throw error
  })
  const { endpoint } = front
  const clients: EC2Client[] = []
  const env = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ENDPOINT_URL_EC2: endpoint,
    AWS_ENDPOINT_URL_EFS: endpoint,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
  return {
    endpoint,
    env,
    front,
    client: (region = 'ap-northeast-1') => {
      const made = new EC2Client({ endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })
      clients.push(made)
      return made
    },
    reset: async () => {
      await emulator.reset()
      front.reset()
    },
    stop: async () => {
      for (const client of clients) client.destroy()
      await front.stop()
      await emulator.stop()
    },
  }
}
