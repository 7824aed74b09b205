/**
 * What the hosts' wrappers of tools call: a unix socket in a folder that is bound into every host. One connection is one command; its answer
 * comes in pieces, so that a command that follows events can run for hours.
 *
 * The wrapper sends one line {"host", "tool", "argv", "pid"}; lines {"out": text}, {"err": text} and at last {"code": n} or {"exec": [argv]}
 * (run this in my place) come back. A connection that ends stops the command.
 */
import { createServer, type Server } from 'node:net'
import { createInterface } from 'node:readline'

export interface Call {
  /** The host's short name. */
  readonly host: string
  readonly tool: string
  readonly argv: readonly string[]
}

export interface Reply {
  out(text: string): void
  err(text: string): void
  end(code: number): void
  /** Let the wrapper become another program of its host. */
  exec(argv: readonly string[]): void
  /** Called when the wrapper is gone. */
  onGone(stop: () => void): void
}

/** Calls `answer` for each command; returns once the socket is there. */
export function serveCalls(socket: string, answer: (call: Call, reply: Reply) => void): Promise<Server> {
  const server = createServer((connection) => {
    connection.setEncoding('utf8').on('error', () => undefined)
    const send = (message: object): void => void connection.write(`${JSON.stringify(message)}\n`)
    // readline passes the connection's errors on; one that ends before its answer is heard of by onGone.
    const lines = createInterface(connection).on('error', () => undefined)
    lines.once('line', (line) => {
      answer(JSON.parse(line) as Call, {
        out: (text) => send({ out: text }),
        err: (text) => send({ err: text }),
        end: (code) => void connection.end(`${JSON.stringify({ code })}\n`),
        exec: (argv) => void connection.end(`${JSON.stringify({ exec: argv })}\n`),
        onGone: (stop) => void connection.once('close', stop),
      })
    })
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(socket, () => resolve(server))
  })
}

/** The wrapper: named after the tool that it stands for. Python, because hosts have it and have no Node.js. */
export const wrapper = (socket: string): string => `#!/usr/bin/python3 -IS
# FAKE: stands for a tool of DRBD or LVM in a host of the lab; what it answers is made outside, by test/fake-drbd.
import json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
try:
    connection.connect(${JSON.stringify(socket)})
except OSError as error:
    print("fake-drbd does not answer: %s" % error, file=sys.stderr)
    sys.exit(20)
call = {"host": os.uname().nodename.split(".")[0], "tool": os.path.basename(sys.argv[0]), "argv": sys.argv[1:]}
connection.sendall((json.dumps(call) + "\\n").encode())
for line in connection.makefile(encoding="utf-8"):
    message = json.loads(line)
    try:
        if "out" in message:
            sys.stdout.write(message["out"])
            sys.stdout.flush()
        if "err" in message:
            sys.stderr.write(message["err"])
            sys.stderr.flush()
    except BrokenPipeError:
        os._exit(1)
    if "code" in message:
        sys.exit(message["code"])
    if "exec" in message:
        os.execv(message["exec"][0], message["exec"])
print("fake-drbd has gone", file=sys.stderr)
sys.exit(20)
`
