// Stores captures in a database and is killed by itself between COMMIT and receipt, for the tests of CaptureDatabase.
//
//     CaptureStorer CONNECTION KEYFILE SEED
//
// Stores the record and the two images that SEED stands for as one batch. As soon as the store has returned - both commits
// are done, no receipt is made - SIGKILL.

import CaptureDatabase
import Forwarding
import Glibc
import LinuxIO
import Provenance
import Receiving
import Storage

let arguments = CommandLine.arguments
guard arguments.count == 4, let seed = UInt64(arguments[3]) else { exit(64) }
let key = try KeyFile.load(path: arguments[2], digests: OpenSSLDigests())
let store = try DatabaseStore(
  try DatabaseTarget(arguments[1]), masters: KeyRing(current: key), digests: OpenSSLDigests())
let receiver = try Receiver(store: store, name: "storer", digests: OpenSSLDigests(), time: SystemClock())
let capture = try SeededCapture(seed: seed)
let reactions = try receiver.take(capture.messages)
guard reactions.contains(where: { $0.completed != nil }) else { exit(1) }
kill(getpid(), SIGKILL)
