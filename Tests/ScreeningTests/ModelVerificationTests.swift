import Foundation
import Inference
import Provenance
import Screening
import Testing

/// FIPS 180-4, written for the tests, so that they need no adapter.
struct PlainSHA256: MessageDigests {
  func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8] { [] }
  func scrypt(_ secret: [UInt8], salt: [UInt8], cost: Int, byteCount: Int) -> [UInt8] { [] }

  func sha256(_ message: [UInt8]) -> [UInt8] {
    let primes = [Int](2...311).filter { n in !(2..<n).contains { n.isMultiple(of: $0) } }
    func fraction(_ value: Double) -> UInt32 { UInt32((value - value.rounded(.down)) * 4_294_967_296) }
    let constants = primes.map { fraction(cbrt(Double($0))) }
    var hash = primes.prefix(8).map { fraction(Double($0).squareRoot()) }
    var padded = message + [0x80]
    while padded.count % 64 != 56 { padded.append(0) }
    padded += (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - 8 * $0)) }
    func rotate(_ x: UInt32, _ n: UInt32) -> UInt32 { x >> n | x << (32 - n) }
    for block in stride(from: 0, to: padded.count, by: 64) {
      var w = (0..<16).map { i in (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(padded[block + 4 * i + $1]) } }
      for i in 16..<64 {
        let s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3)
        let s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10)
        w.append(w[i - 16] &+ s0 &+ w[i - 7] &+ s1)
      }
      var v = hash
      for i in 0..<64 {
        let s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)
        let t1 = v[7] &+ s1 &+ ((v[4] & v[5]) ^ (~v[4] & v[6])) &+ constants[i] &+ w[i]
        let s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)
        let t2 = s0 &+ ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]))
        v = [t1 &+ t2, v[0], v[1], v[2], v[3] &+ t1, v[4], v[5], v[6]]
      }
      hash = zip(hash, v).map { $0 &+ $1 }
    }
    return hash.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * UInt32($0))) } }
  }
}

/// The models that the repository ships.
enum ShippedModels {
  static let directory = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appending(path: "Models")

  static let names: [String] =
    ((try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? [])
    .filter { FileManager.default.fileExists(atPath: directory.appending(path: "\($0)/manifest.json").path) }
    .sorted()

  static func reader(_ name: String) -> ModelVerification.Reader {
    { path, _ in [UInt8](try Data(contentsOf: directory.appending(path: name).appending(path: path))) }
  }

  static func manifest(_ name: String) throws -> ModelManifest {
    try ModelManifest(json: try reader(name)("manifest.json", ModelManifest.sizeLimitBytes))
  }
}

@Suite struct ModelVerificationTests {
  @Test func digestOfTheStandardsExample() {
    #expect(
      Hexadecimal.text(of: PlainSHA256().sha256(Array("abc".utf8)))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test func modelsAreShipped() {
    #expect(!ShippedModels.names.isEmpty)
  }

  /// The golden inputs were made by the training scripts' own chain and the golden outputs by the LiteRT reference
  /// kernels; neither shares code with the device.
  @Test(arguments: ShippedModels.names)
  func verifies(_ name: String) throws {
    let manifest = try ShippedModels.manifest(name)
    let verification = try ModelVerification(manifest, digests: PlainSHA256(), read: ShippedModels.reader(name))
    #expect(verification.samples >= 4)
    #expect(verification.outputBytes > 0)
    #expect(verification.inputBytes > 0)
    #expect(manifest.status == .demonstration)
    #expect(manifest.id == name)
  }

  @Test func refusesChangedBytes() throws {
    let name = try #require(ShippedModels.names.first)
    let read = ShippedModels.reader(name)
    let manifest = try ShippedModels.manifest(name)
    let error = #expect(throws: ModelManifestError.self) {
      try ModelVerification(manifest, digests: PlainSHA256()) { path, limit in
        var bytes = try read(path, limit)
        if path == "model.tflite" { bytes[bytes.count / 2] ^= 1 }
        return bytes
      }
    }
    #expect(error?.field == "model.sha256")
  }

  @Test func findsAnOutputThatDiffers() throws {
    let name = try #require(ShippedModels.names.first)
    let manifest = try ShippedModels.manifest(name)
    let read = ShippedModels.reader(name)
    let path = try #require(manifest.golden.outputs.first).path
    struct Lying: MessageDigests {
      let truth: [String: [UInt8]]
      func sha256(_ message: [UInt8]) -> [UInt8] { truth["\(message.count)"] ?? PlainSHA256().sha256(message) }
      func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8] { [] }
      func scrypt(_ secret: [UInt8], salt: [UInt8], cost: Int, byteCount: Int) -> [UInt8] { [] }
    }
    // A digest that answers for the changed file, so that only the comparison itself can find the change.
    let original = try read(path, 1 << 20)
    let digests = Lying(truth: ["\(original.count)": PlainSHA256().sha256(original)])
    let error = #expect(throws: ModelManifestError.self) {
      try ModelVerification(manifest, digests: digests) { file, limit in
        var bytes = try read(file, limit)
        if file == path { bytes[bytes.count - 1] ^= 1 }
        return bytes
      }
    }
    #expect(error?.field.hasPrefix("golden.outputs[0], sample") == true)
  }
}
