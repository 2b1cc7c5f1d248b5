// Stores captures without end and says "saved N" after each, for tests that kill it at any moment.
//
//     OutboxWriter DATABASE KEYFILE FIRST COUNT [FILE-SIZE-LIMIT]
//
// The limit makes every write behind it fail (EFBIG), as a broken card would.

import Forwarding
import Glibc
import Provenance
import Storage

struct KernelClock: TimeSource {
  func now() -> Timestamp {
    var wall = timespec()
    var boot = timespec()
    clock_gettime(CLOCK_REALTIME, &wall)
    clock_gettime(CLOCK_BOOTTIME, &boot)
    return Timestamp(
      utcNanoseconds: Int64(wall.tv_sec) * 1_000_000_000 + Int64(wall.tv_nsec), bootID: "writer",
      monotonicNanoseconds: UInt64(boot.tv_sec) * 1_000_000_000 + UInt64(boot.tv_nsec), synchronised: true)
  }
}

func say(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  _ = write(STDOUT_FILENO, bytes, bytes.count)
}

let arguments = CommandLine.arguments
guard arguments.count >= 5, let first = Int(arguments[3]), let count = Int(arguments[4]) else {
  say("usage: OutboxWriter DATABASE KEYFILE FIRST COUNT [FILE-SIZE-LIMIT]")
  exit(64)
}
do {
  let key = try KeyFile.load(path: arguments[2], digests: OpenSSLDigests())
  let outbox = try Outbox(
    OutboxConfiguration(
      path: arguments[1], keys: KeyRing(current: key),
      quota: OutboxQuota(freeSpaceFloorBytes: 0, ballastBytes: 0)), time: KernelClock())
  say("open \(outbox.recoveryAtStart == nil ? "whole" : "repaired")")
  if arguments.count > 5, let limit = UInt(arguments[5]) {
    signal(SIGXFSZ, SIG_IGN)
    var resource = rlimit(rlim_cur: limit, rlim_max: limit)
    setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &resource)
  }
  for index in first..<(first + count) {
    // The capture's id tells its number, so that the test can find it.
    guard
      let id = RandomIdentifier(
        "00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - String(index).count) + String(index))
    else { exit(70) }
    let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 500 + index % 7 * 1500)
    do {
      _ = try await outbox.enqueue(
        NewCapture(
          captureID: id, created: KernelClock().now(),
          images: [CaptureImage(name: "master.png", contentType: "image/png", bytes: bytes)]
        ) { Array("{\"sequence\":\($0.sequence)}".utf8) })
      say("saved \(index)")
    } catch {
      say("refused \(index) \(error)")
    }
  }
  say("done")
} catch {
  say("failed \(error)")
  exit(70)
}
