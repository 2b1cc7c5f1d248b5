import Audit
import Cryptography
import Foundation
import LocalFiles
import Provenance
import Storage
import TestSupport
import Testing
import Trust

/// The log on disk: whatever stops it, what was said to be written is there and nothing else is.
@Suite struct AuditLogTests {
  private let scratch: ScratchFolder
  private let device: AuditDevice
  private var directory: String { scratch.file("audit") }

  init() throws {
    scratch = try ScratchFolder(inMemory: true)
    device = try AuditDevice()
  }

  private func texts(_ log: AuditLog) throws -> [[UInt8]] {
    var texts: [[UInt8]] = []
    try log.forEachEntry { texts.append($0) }
    return texts
  }

  private func anchors(_ heads: [AuditHead], cosigned: Bool = false) -> [AuditAnchor] {
    heads.map { AuditAnchor($0, source: "record \($0.size)", isWitnessed: cosigned) }
  }

  /// A file of this name begins the log's last entries.
  private func lastFile() throws -> String {
    let names = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".log") }
    return directory + "/" + (try #require(names.max()))
  }

  @Test func whatWasWrittenIsThereAfterEachRestart() throws {
    var heads: [AuditHead] = []
    for run in 0..<10 {
      var log = try device.open(directory)
      #expect(log.removedBytes == 0)
      #expect(log.head == heads.last ?? log.base)
      heads += try device.write(7, to: &log, from: 100 * run, boot: "boot-\(run)")
    }
    let log = try device.open(directory)
    #expect(log.head == heads.last)
    #expect(log.head.size == 70)
    #expect(try log.examine(against: anchors(heads)) == [])
    let entries = try texts(log).map { try AuditEntry(reading: $0) }
    #expect(entries.map(\.index) == (0..<70).map { UInt64($0) })
  }

  /// Nothing of an entry is legible on the card.
  @Test func theFilesAreSealed() throws {
    var log = try device.open(directory)
    _ = try device.write(20, to: &log)
    let bytes = try Data(contentsOf: URL(filePath: try lastFile()))
    for word in ["p-0123456789abcdef", "session-start", "monotonic"] {
      #expect(bytes.range(of: Data(word.utf8)) == nil)
    }
    #expect(try FileManager.default.attributesOfItem(atPath: lastFile())[.posixPermissions] as? Int == 0o600)
  }

  /// A write that stopped after any of its bytes: the entry was not yet there, those before it are, and the log goes on.
  @Test func anInterruptedWriteIsNoDamage() throws {
    var log = try device.open(directory)
    let heads = try device.write(5, to: &log)
    let path = try lastFile()
    let whole = try Data(contentsOf: URL(filePath: path))
    try log.append(.stop, at: device.time(100))
    let longer = try Data(contentsOf: URL(filePath: path))
    for count in whole.count..<longer.count {
      for garbage in [false, true] {
        // Blocks that were given to the file and never filled read as zeros.
        let tail = garbage ? Data(count: longer.count - count) : Data()
        // Its last byte may be a zero: then nothing is missing.
        guard longer.prefix(count) + tail != longer else { continue }
        try (longer.prefix(count) + tail).write(to: URL(filePath: path))
        var reopened = try device.open(directory)
        if count == whole.count + 0, !garbage { #expect(reopened.removedBytes == 0) }
        #expect(reopened.head == heads.last)
        try reopened.append(.uncleanEnd, at: device.time(200))
        #expect(try reopened.examine(against: anchors(heads)) == [])
      }
    }
  }

  @Test func aFlippedBitIsFoundWhereverItIs() throws {
    var log = try device.open(directory)
    let heads = try device.write(4, to: &log)
    let path = try lastFile()
    let whole = try [UInt8](Data(contentsOf: URL(filePath: path)))
    for index in whole.indices {
      var bytes = whole
      bytes[index] ^= 1 << UInt8(index % 8)
      try Data(bytes).write(to: URL(filePath: path))
      do {
        let reopened = try device.open(directory)
        // Only what looks like an interrupted write is cut off; the head that was sent tells.
        #expect(reopened.head.size < 4, "byte \(index)")
        #expect(
          try reopened.examine(against: anchors(heads)).contains { if case .shortened = $0 { true } else { false } })
      } catch let error as AuditLogError {
        guard case .damaged = error else {
          Issue.record("byte \(index): \(error)")
          continue
        }
      }
    }
  }

  @Test func onlyWhatSomebodyCosignedIsRemoved() throws {
    var limits = AuditLog.Limits()
    limits.segmentBytes = 2000
    var log = try device.open(directory, limits: limits)
    let heads = try device.write(60, to: &log)
    #expect(try log.prune(cosigned: AuditHead(of: device.origin, digests: OpenSSLDigests())) == 0)
    // Another log's head removes nothing.
    let foreign = AuditHead(size: 30, digest: [UInt8](repeating: 7, count: 32))
    #expect(throws: AuditLogError.self) { try log.prune(cosigned: foreign) }
    #expect(try texts(log).count == 60)
    // Nor does one that is still to come.
    #expect(try log.prune(cosigned: AuditHead(size: 61, digest: heads[59].digest)) == 0)

    let before = log.byteCount
    let removed = try log.prune(cosigned: heads[29])
    #expect(removed > 0 && removed <= 30)
    #expect(log.base == heads[Int(removed) - 1])
    #expect(log.byteCount < before)
    let reopened = try device.open(directory, limits: limits)
    #expect(reopened.base == log.base && reopened.head == log.head && reopened.byteCount == log.byteCount)
    let witness = anchors([heads[29]], cosigned: true)
    #expect(try reopened.examine(against: witness) == [])
    // Without the cosignature the missing beginning is a finding.
    #expect(try reopened.examine(against: anchors([heads[29]])) == [.prunedTooFar(base: removed)])
  }

  @Test func aFullLogTakesNothingMoreAndSaysSo() throws {
    var limits = AuditLog.Limits()
    limits.segmentBytes = 2000
    limits.totalBytes = 20_000
    limits.remoteBytes = 15_000
    var log = try device.open(directory, limits: limits)
    var heads: [AuditHead] = []
    var wasClosedToRemote = false
    while heads.count < 1000 {
      do throws(AuditLogError) {
        heads.append(try log.append(.start, at: device.time(heads.count)))
      } catch {
        guard case .full(let bytes) = error else { throw error }
        #expect(bytes <= limits.totalBytes)
        break
      }
      if !log.hasRoomForRemote { wasClosedToRemote = true }
    }
    #expect(heads.count < 1000 && wasClosedToRemote)
    #expect(log.head == heads.last)
    #expect(try device.open(directory, limits: limits).head == heads.last)
    // A cosignature makes room.
    let middle = heads[heads.count / 2]
    #expect(try log.prune(cosigned: middle) > 0)
    #expect(log.hasRoomForRemote)
    try log.append(.stop, at: device.time(5000))
  }

  @Test func anotherDevicesLogIsNotGoneOnWith() throws {
    var log = try device.open(directory)
    _ = try device.write(3, to: &log)
    let other = try AuditDevice()
    #expect(throws: AuditLogError.self) { try other.open(directory) }
    let sameKeys = AuditOrigin(site: "clinic-8", device: "unit-3", log: device.origin.log, key: device.origin.key)
    #expect(throws: AuditLogError.self) {
      try AuditLog(directory: directory, keys: device.sealing, beginning: sameKeys)
    }
    // A file of another log in this one's folder.
    let foreign = try AuditDevice()
    var foreignLog = try foreign.open(scratch.file("other"))
    _ = try foreign.write(3, to: &foreignLog)
    let name = URL(filePath: try lastFile()).lastPathComponent
    try FileManager.default.removeItem(atPath: try lastFile())
    try FileManager.default.copyItem(atPath: scratch.file("other") + "/" + name, toPath: directory + "/" + name)
    #expect(throws: AuditLogError.self) { try device.open(directory) }
  }

  /// A beginning that stopped between its two files begins again.
  @Test func anInterruptedBeginningBeginsAgain() throws {
    _ = try device.open(directory)
    try FileManager.default.removeItem(atPath: directory + "/origin.json")
    var log = try device.open(directory)
    _ = try device.write(2, to: &log)
    try FileManager.default.removeItem(atPath: try lastFile())
    #expect(throws: AuditLogError.self) { try device.open(directory) }
  }
}
