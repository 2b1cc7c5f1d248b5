import Forwarding
import Foundation
import Provenance
import Storage

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
