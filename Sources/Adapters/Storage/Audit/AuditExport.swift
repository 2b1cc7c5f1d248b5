import Audit
import LocalFiles
import Provenance
import Trust

/// An exported log, as files: read without the device and its keys.
package struct AuditExport {
  /// Of `entries.jsonl`: the largest log, and its ends of lines.
  package static let maximumEntriesBytes = 80 << 20
  /// Receipts in the folder of witnesses.
  private static let maximumReceipts = 100_000

  package let origin: AuditOrigin
  package let base: AuditHead
  private let entriesText: [UInt8]
  private let headEnvelope: [UInt8]

  /// - Throws: when a file is missing, too large or of another form.
  package init(folder: String) throws {
    origin = try AuditOrigin(
      reading: try BoundedFile.read(folder + "/" + AuditLog.originName, maximumBytes: AuditEntry.maximumBytes))
    guard
      case .object(let object) = try JSONValue(
        reading: try BoundedFile.read(folder + "/" + AuditLog.baseName, maximumBytes: AuditEntry.maximumBytes),
        within: AuditEntry.limits)
    else { throw AuditFault("\(AuditLog.baseName) is no object") }
    base = try AuditHead(reading: object)
    entriesText = try BoundedFile.read(folder + "/" + AuditLog.entriesName, maximumBytes: Self.maximumEntriesBytes)
    headEnvelope = try BoundedFile.read(
      folder + "/" + AuditLog.headName, maximumBytes: Envelope.Limits.statement.envelopeBytes)
  }

  /// The entries' texts, oldest first.
  package func forEachEntry(_ body: ([UInt8]) throws -> Void) rethrows {
    for line in entriesText.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true) {
      try body(Array(line))
    }
  }

  /// Judges the log by itself and by what others keep.
  ///
  /// - Parameter key: of the enrolment; nil takes the export's own word for whose log it is.
  package func findings(
    key: PublicKey?, anchors: some Sequence<AuditAnchor>, verifier: some SignatureVerifier,
    digests: some MessageDigests
  ) -> [String] {
    var findings: [String] = []
    if let key, key != origin.key {
      findings.append(
        "origin.json names another key than the one that was given: another device's log, or a replaced key")
    }
    if base.size == 0, base != AuditHead(of: origin, digests: digests) {
      findings.append("base.json is not the beginning of the log of origin.json")
    }
    if let last = entriesText.last, last != UInt8(ascii: "\n") {
      findings.append("entries.jsonl: its last line is not complete")
    }
    var examination = AuditExamination(from: base, anchors: anchors, digests: digests)
    forEachEntry { examination.take($0) }
    findings += examination.finish().map(\.description)
    if examination.suppressedFindings > 0 { findings.append("and \(examination.suppressedFindings) more") }
    do {
      let signer = AuditOrigin(site: origin.site, device: origin.device, log: origin.log, key: key ?? origin.key)
      let statement = try AuditHeadStatement(
        try Envelope(reading: headEnvelope, within: .statement), of: signer, verifier: verifier, digests: digests)
      if statement.head != examination.head {
        findings.append("head.json, which the device signed, is not the head of these entries")
      }
    } catch { findings.append("head.json is not believed: \(error)") }
    return findings
  }

  /// Heads that others kept: a line each, `{"size":17,"head":"…","source":"record of capture …"}`.
  package static func anchors(file: String) throws -> [AuditAnchor] {
    try BoundedFile.read(file, maximumBytes: maximumEntriesBytes).split(separator: UInt8(ascii: "\n")).map { line in
      guard case .object(let object) = try JSONValue(reading: Array(line), within: AuditEntry.limits) else {
        throw AuditFault("\(file): a line is no object")
      }
      let source = try object.optionalText("source")?.string ?? "an anchor"
      return AuditAnchor(try AuditHead(reading: object), source: source, isWitnessed: false)
    }
  }
}
