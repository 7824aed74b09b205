/** grpc.reflection.v1 and v1alpha over the descriptor set that is part of the agent. Both are the same but for their package. */
import { toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { status } from '@grpc/grpc-js'
import { type ServerReflectionRequest, type ServerReflectionResponse, ServerReflectionService } from '#gen/grpc/reflection/v1/reflection.ts'
import { ServerReflectionService as ServerReflectionAlphaService } from '#gen/grpc/reflection/v1alpha/reflection.ts'
import { descriptorSet, registry } from '../../proto/descriptors.ts'
import { type ServiceRegistration, service } from './service.ts'

type Answer = NonNullable<ServerReflectionResponse['messageResponse']>

export function reflectionServices(registrations: () => readonly ServiceRegistration[]): ServiceRegistration[] {
  const names = (): string[] => registrations().map(({ name }) => name)
  async function* answers(requests: AsyncIterable<ServerReflectionRequest>): AsyncGenerator<ServerReflectionResponse> {
    for await (const request of requests) yield { validHost: request.host, originalRequest: request, messageResponse: answer(request, names()) }
  }
  return [
    service(ServerReflectionService, { serverReflectionInfo: (requests) => answers(requests) }),
    service(ServerReflectionAlphaService, { serverReflectionInfo: (requests) => answers(requests) }),
  ]
}

function answer(request: ServerReflectionRequest, services: readonly string[]): Answer {
  const asked = request.messageRequest
  switch (asked?.$case) {
    case 'listServices':
      return { $case: 'listServicesResponse', value: { service: services.map((name) => ({ name })) } }
    case 'fileByFilename':
      return fileAnswer(asked.value, asked.value)
    case 'fileContainingSymbol':
      return fileAnswer(fileOfSymbol(asked.value), asked.value)
    case 'allExtensionNumbersOfType':
      return { $case: 'allExtensionNumbersResponse', value: { baseTypeName: asked.value, extensionNumber: [] } }
    case 'fileContainingExtension':
      return failure(status.NOT_FOUND, `${asked.value.containingType} has no extensions`)
    default:
      return failure(status.INVALID_ARGUMENT, 'nothing was asked')
  }
}

/** A symbol is a message, an enum, a service, or a method or field by its parent's name and its own. */
function fileOfSymbol(symbol: string): string | undefined {
  const found = registry().get(symbol) ?? registry().get(symbol.slice(0, Math.max(0, symbol.lastIndexOf('.'))))
  return found?.file.proto.name
}

function fileAnswer(name: string | undefined, asked: string): Answer {
  const file = descriptorSet().file.find((candidate) => candidate.name === name)
  if (file === undefined) return failure(status.NOT_FOUND, `${asked} is not known here`)
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto: [Buffer.from(toBinary(FileDescriptorProtoSchema, file))] } }
}

const failure = (errorCode: number, errorMessage: string): Answer => ({ $case: 'errorResponse', value: { errorCode, errorMessage } })
