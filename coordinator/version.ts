import manifest from '../package.json' with { type: 'json' }

/** Of this coordinator: what agents are compared with. */
export const { version } = manifest
