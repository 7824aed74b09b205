/** The contract as data: every file, service and message of proto/, from the descriptor set that is generated with the code. */
import { createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf'
import { type FileDescriptorSet, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { descriptors } from '#gen/descriptors.ts'

let set: FileDescriptorSet | undefined
let files: FileRegistry | undefined

/** Parsed at first use (a few milliseconds), then kept. */
export function descriptorSet(): FileDescriptorSet {
  set ??= fromBinary(FileDescriptorSetSchema, descriptors)
  return set
}

/** Built at first use, then kept. */
export function registry(): FileRegistry {
  files ??= createFileRegistry(descriptorSet())
  return files
}

/** Full names of all RPCs: "hive.v1.StepService/Plan". */
export const rpcNames = (): string[] =>
  descriptorSet().file.flatMap((file) => file.service.flatMap((service) => service.method.map((method) => `${file.package}.${service.name}/${method.name}`)))

/** Full name of the request message of an RPC "hive.v1.StepService/Plan"; undefined for an RPC that does not exist. */
export function requestTypeOf(rpc: string): string | undefined {
  const [service = '', method = ''] = rpc.split('/')
  return registry()
    .getService(service)
    ?.methods.find(({ name }) => name === method)?.input.typeName
}
