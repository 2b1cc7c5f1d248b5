import Forwarding
import Foundation
import Provenance
import Storage

/// SplitMix64: repeatable randomness.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

/// A clock that a test moves.
final class ManualClock: TimeSource, @unchecked Sendable {
  private let lock = NSLock()
  private var instant = Timestamp(
    utcNanoseconds: 1_772_000_000_000_000_000, bootID: "boot-a", monotonicNanoseconds: 1_000_000_000_000,
    synchronised: true)

  func now() -> Timestamp { lock.withLock { instant } }

  func advance(seconds: Int) {
    lock.withLock {
      instant.utcNanoseconds += Int64(seconds) * 1_000_000_000
      instant.monotonicNanoseconds += UInt64(seconds) * 1_000_000_000
    }
  }

  func reboot(_ bootID: String) {
    lock.withLock {
      instant.bootID = bootID
      instant.monotonicNanoseconds = 1_000_000_000
    }
  }
}

/// A directory of its own that is removed with the value.
final class ScratchDirectory {
  let path: String

  init() throws {
    // In memory where there is such a place: these tests are about content, and fsync of a busy disk is slow.
    let base = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm/" : NSTemporaryDirectory()
    path = base + "outbox-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  func file(_ name: String) -> String { path + "/" + name }
}

/// A key made for one test.
func makeKey(_ seed: UInt64 = .random(in: .min ... .max)) throws -> SealingKey {
  var generator = SeededGenerator(seed: seed)
  let bytes = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
  guard let key = SealingKey(bytes: bytes, digests: OpenSSLDigests()) else { throw CocoaError(.coderInvalidValue) }
  return key
}

/// Bytes that no compression or pattern would hide.
func noise(_ count: Int, seed: UInt64) -> [UInt8] {
  var generator = SeededGenerator(seed: seed)
  return [UInt8](unsafeUninitializedCapacity: count + 8) { buffer, filled in
    let raw = UnsafeMutableRawBufferPointer(buffer)
    for offset in stride(from: 0, to: count, by: 8) {
      raw.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
    }
    filled = count
  }
}

func makeCapture(
  _ index: UInt64, at time: Timestamp, imageBytes: [Int] = [700, 6000]
) -> NewCapture {
  var generator = SeededGenerator(seed: index &* 7919 &+ 1)
  let id = RandomIdentifier(using: &generator)
  let names = ["master.png", "view.png", "mask.png", "occlusion.png"]
  let images = zip(names, imageBytes).map { name, count in
    CaptureImage(name: name, contentType: "image/png", bytes: noise(count, seed: index ^ UInt64(count)))
  }
  return NewCapture(captureID: id, created: time, images: images) { number in
    Array("{\"capture_id\":\"\(id)\",\"outbox_id\":\"\(number.outboxID)\",\"sequence\":\(number.sequence)}".utf8)
  }
}

/// Stores a capture; the refusal when a limit forbids it, nil when it is stored.
func quotaRefusal(of capture: NewCapture, by outbox: Outbox) async throws -> QuotaRefusal? {
  do throws(OutboxError) {
    _ = try await outbox.enqueue(capture)
    return nil
  } catch {
    guard case .refused(let refusal) = error else { throw error }
    return refusal
  }
}

/// The same for a message without images.
func quotaRefusal(of message: NewMessage, by outbox: Outbox) async throws -> QuotaRefusal? {
  do throws(OutboxError) {
    _ = try await outbox.enqueue(message)
    return nil
  } catch {
    guard case .refused(let refusal) = error else { throw error }
    return refusal
  }
}
