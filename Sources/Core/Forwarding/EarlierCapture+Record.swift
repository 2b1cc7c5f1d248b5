import FoundationEssentials
import Screening

extension EarlierCapture {
  /// What a stored record says of its patient's past; nil when it holds no regions, or when a hard gate had failed, so
  /// that what was measured is not to be compared with.
  package init?(_ record: CaptureRecord) {
    guard let regions = record.verdict.regions, !regions.isEmpty,
      record.gates.allSatisfy({ $0.passed || $0.severity == .soft })
    else { return nil }
    self.init(sessionID: record.sessionID, view: record.view, sequence: record.sequence, regions: regions)
  }
}

extension CaptureRecord {
  /// Reads a record as it was sealed. Throws what `JSONDecoder` throws.
  package init(json: [UInt8]) throws {
    self = try JSONDecoder().decode(CaptureRecord.self, from: Data(json))
  }
}
