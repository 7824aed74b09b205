/** The swarm follower from outside: what it holds for services, and what it can't do for them. */
import { FollowerServiceService } from '#gen/hive/v1/follower.ts'
import type { SwarmFollower } from '../watchers/swarm-follower.ts'
import { type ServiceRegistration, service } from './service.ts'

export const followerService = (follower: SwarmFollower): ServiceRegistration =>
  service(FollowerServiceService, { status: async () => follower.status() }, async () => follower.healthy())
