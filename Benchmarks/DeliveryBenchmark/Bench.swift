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
      utcNanoseconds: Int64(wall.tv_sec) * 1_000_000_000 + Int64(wall.tv_nsec), bootID: "benchmark",
      monotonicNanoseconds: UInt64(boot.tv_sec) * 1_000_000_000 + UInt64(boot.tv_nsec), synchronised: true)
  }
}

/// An outbox under measurement.
final class Bench: @unchecked Sendable {
  let outbox: Outbox
  private let clock = KernelClock()
  /// Syncs of the peer, to be left out of the outbox's.
  var fileSyncs: UInt64 = 0

  init(_ path: String, keyFile: String? = nil) throws {
    var generator = SystemRandomNumberGenerator()
    let key = try KeyFile.loadOrCreate(path: keyFile ?? path + ".key", digests: OpenSSLDigests(), using: &generator)
    outbox = try Outbox(
      OutboxConfiguration(
        path: path, keys: KeyRing(current: key), quota: OutboxQuota(freeSpaceFloorBytes: 0, ballastBytes: 0)),
      time: clock)
  }

  /// Stores so many messages at once.
  func store(count: Int, bytes: Int) async throws {
    let message = NewMessage.event([UInt8](repeating: 7, count: bytes), created: clock.now())
    if count == 1 {
      try await outbox.enqueue(message)
      return
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<count { group.addTask { [outbox] in _ = try await outbox.enqueue(message) } }
      try await group.waitForAll()
    }
  }

  /// A record and three images of a usual size.
  func storeCapture() async throws {
    var generator = SystemRandomNumberGenerator()
    let images = [("master.png", 2000), ("view.png", 60_000), ("mask.png", 300)].map {
      CaptureImage(name: $0.0, contentType: "image/png", bytes: [UInt8](repeating: 1, count: $0.1))
    }
    _ = try await outbox.enqueue(
      NewCapture(captureID: RandomIdentifier(using: &generator), created: clock.now(), images: images) { _ in
        [UInt8](repeating: 2, count: 4000)
      })
  }

  /// Reads, opens and settles what waits, as delivery does.
  func drain(batch: Int, atMost: Int = .max) async throws {
    var left = atMost
    while left > 0 {
      let items = try await outbox.pending(.event, after: 0, limit: min(batch, left))
      if items.isEmpty { return }
      for item in items { _ = try await outbox.payload(of: item.id) }
      var settlement = Settlement()
      settlement.delivered = items.map(\.id)
      try await outbox.settle(settlement)
      left -= items.count
    }
  }
}

/// What the outbox is compared with: temporary file, fsync, rename, fsync of the directory.
struct FilePerMessage {
  private let folder: String
  private var next = 0

  init(folder: String) {
    self.folder = folder
    mkdir(folder, 0o700)
  }

  struct Failed: Error {}

  mutating func store(bytes: Int) throws {
    next += 1
    let path = "\(folder)/\(next)"
    let content = [UInt8](repeating: 7, count: bytes)
    let file = open(path + ".tmp", O_WRONLY | O_CREAT | O_EXCL, 0o600)
    guard file >= 0, write(file, content, bytes) == bytes, fsync(file) == 0 else { throw Failed() }
    close(file)
    guard rename(path + ".tmp", path) == 0 else { throw Failed() }
    let directory = open(folder, O_RDONLY | O_DIRECTORY)
    guard directory >= 0, fsync(directory) == 0 else { throw Failed() }
    close(directory)
  }
}

/// The counters of `sync_model.so`; zeros without it.
struct Counters {
  var syncs: UInt64 = 0
  var bytes: UInt64 = 0

  private typealias Read = @convention(c) (UnsafeMutablePointer<UInt64>, UnsafeMutablePointer<UInt64>) -> Void

  static func now() -> Counters {
    var counters = Counters()
    guard let symbol = dlsym(nil, "sync_model_counters") else { return counters }
    unsafeBitCast(symbol, to: Read.self)(&counters.syncs, &counters.bytes)
    return counters
  }
}
