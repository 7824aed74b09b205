/**
 * What the hosts' wrappers of tools call: a unix socket in a folder that is bound into every host. One connection is one command; its answer
 * comes in pieces, so that a command that follows events can run for hours.
 *
 * The wrapper sends the length of its words (4 bytes) and the words, each with a NUL after it: host, tool, arguments. Pieces that come back are
 * a letter, a length of 4 bytes and so much text: o and e are output and errors, c the exit code, x another program to become, its arguments
 * with a NUL between them. A connection that ends stops the command.
 */
import { createServer, type Server } from 'node:net'

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
    connection.on('error', () => undefined)
    let asked = Buffer.alloc(0)
    const take = (bytes: Buffer): void => {
      asked = Buffer.concat([asked, bytes])
      if (asked.length < 4 || asked.length < 4 + asked.readUInt32BE()) return
      connection.off('data', take).resume()
      const [host = '', tool = '', ...argv] = asked.toString('utf8', 4).split('\0').slice(0, -1)
      answer(
        { host, tool, argv },
        {
          out: (text) => void connection.write(frame('o', text)),
          err: (text) => void connection.write(frame('e', text)),
          end: (code) => void connection.end(frame('c', String(code))),
          exec: (words) => void connection.end(frame('x', words.join('\0'))),
          onGone: (stop) => void connection.once('close', stop),
        },
      )
    }
    connection.on('data', take)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(socket, () => resolve(server))
  })
}

function frame(kind: 'o' | 'e' | 'c' | 'x', text: string): Buffer {
  const body = Buffer.from(text)
  const head = Buffer.alloc(5, kind)
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}

/**
 * The wrapper: named after the tool that it stands for. Perl, because every host has it (perl-base is essential in Debian) and it starts in a
 * few milliseconds: drbdadm calls drbdsetup some times for each resource.
 */
export const wrapper = (socket: string): string => `#!/usr/bin/perl
# FAKE: stands for a tool of DRBD or LVM in a host of the lab; what it answers is made outside, by test/fake-drbd.
use Socket;
socket(my $server, PF_UNIX, SOCK_STREAM, 0) or fail("has no socket: $!");
connect($server, pack_sockaddr_un(${JSON.stringify(socket)})) or fail("does not answer: $!");
my ($tool) = $0 =~ m{([^/]*)$};
open(my $name, "<", "/proc/sys/kernel/hostname") or fail("has no host: $!");
my ($host) = <$name> =~ /^([^.\\n]*)/;
my $call = join("", map { "$_\\0" } $host, $tool, @ARGV);
send($server, pack("N", length($call)) . $call, 0);
$| = 1;
while (read($server, my $head, 5) == 5) {
    my ($kind, $length) = unpack("aN", $head);
    read($server, my $body, $length) if $length;
    if ($kind eq "o") { print STDOUT $body }
    elsif ($kind eq "e") { print STDERR $body }
    elsif ($kind eq "x") { my @argv = split(/\\0/, $body, -1); exec { $argv[0] } @argv or fail("cannot start $argv[0]: $!") }
    else { exit($body) }
}
fail("has gone");
sub fail { print STDERR "fake-drbd $_[0]\\n"; exit(20) }
`
