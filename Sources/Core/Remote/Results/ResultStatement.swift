import Provenance
import Screening
import Trust

/// The clinic's word on one capture, for its patient: that there is an answer, or that new pictures are wanted. What the
/// answer says never comes to a device.
///
/// On the wire it is the payload of a DSSE envelope on `dn/result`, signed by a key that the site lists for results:
///
/// ```
/// {"schema": "thermograph.result.v1", "id": UUID, "site": ..., "device": ..., "capture_id": UUID,
///  "record_sha256": 64 digits, "patient_ref": ..., "state": "answered" or "repeat-requested", "reviewer": ...,
///  "received_at": ..., "cloud_done_at": ..., "reviewed_at": ...}
/// ```
package struct ResultStatement: DeviceStatement {
  package static let kind = "result"
  package static let payloadType: ExactText = "application/vnd.thermograph.result.v1+json"
  package static let schema: ExactText = "thermograph.result.v1"
  private static let reviewerBytesMaximum = 64
  private static let patientBytesMaximum = 64

  package let id: RandomIdentifier
  package let site: String
  package let device: String
  package let captureID: RandomIdentifier
  package let recordSHA256: [UInt8]
  /// To whom the capture belongs, as the far side has it.
  package let patientRef: String
  package let word: ClinicWord
  package let reviewer: String
  /// By the far side's clock, milliseconds since 1970: it had the whole capture, the capture stood in the reader's worklist,
  /// the reader answered. None is before the one that stands before it.
  package let receivedMilliseconds: Int64
  package let cloudDoneMilliseconds: Int64
  package let reviewedMilliseconds: Int64

  package init(reading payload: [UInt8]) throws(ShapeFault) {
    let object = try Self.object(in: payload, schema: Self.schema)
    // Whoever adds the answer itself is to hear that it does not belong here.
    if let other = object.members(beyond: Self.members).first {
      throw ShapeFault("'\(other.name.string.prefix(40))' is no member of a result")
    }
    id = try Self.identifier(object)
    site = try object.text("site").string
    device = try object.text("device").string
    guard let capture = RandomIdentifier(try object.text("capture_id").string) else {
      throw ShapeFault("'capture_id' is no UUID of 36 characters")
    }
    captureID = capture
    guard let sha256 = Hexadecimal.bytes(of: try object.text("record_sha256").string), sha256.count == 32 else {
      throw ShapeFault("'record_sha256' is not 64 hexadecimal digits")
    }
    recordSHA256 = sha256
    patientRef = try object.text("patient_ref").string
    guard (1...Self.patientBytesMaximum).contains(patientRef.utf8.count), patientRef.utf8.allSatisfy(\.isReferenceByte)
    else { throw ShapeFault("'patient_ref' is none; expected 1 to \(Self.patientBytesMaximum) of a-z, 0-9 and '-'") }
    guard let word = ClinicWord(rawValue: try object.text("state").string) else {
      throw ShapeFault("'state' is none; expected \(ClinicWord.allCases.map(\.rawValue).joined(separator: " or "))")
    }
    self.word = word
    reviewer = try object.text("reviewer").string
    guard (1...Self.reviewerBytesMaximum).contains(reviewer.utf8.count), reviewer.utf8.allSatisfy(\.isNameByte) else {
      throw ShapeFault("'reviewer' is no name; expected 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")
    }
    receivedMilliseconds = try Self.instant(object, "received_at")
    cloudDoneMilliseconds = try Self.instant(object, "cloud_done_at")
    reviewedMilliseconds = try Self.instant(object, "reviewed_at")
    guard receivedMilliseconds <= cloudDoneMilliseconds, cloudDoneMilliseconds <= reviewedMilliseconds else {
      throw ShapeFault("'received_at', 'cloud_done_at' and 'reviewed_at' are not in this order")
    }
  }

  private static let members: Set<ExactText> = [
    "schema", "id", "site", "device", "capture_id", "record_sha256", "patient_ref", "state", "reviewer", "received_at",
    "cloud_done_at", "reviewed_at",
  ]

  private static func instant(_ object: JSONObject, _ name: ExactText) throws(ShapeFault) -> Int64 {
    guard let milliseconds = UTCTime.milliseconds(of: try object.text(name)) else {
      throw ShapeFault("'\(name)' is no time; expected YYYY-MM-DDTHH:MM:SSZ, with or without a fraction")
    }
    return milliseconds
  }
}

extension UInt8 {
  fileprivate var isReferenceByte: Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self)
      || self == UInt8(ascii: "-")
  }

  fileprivate var isNameByte: Bool {
    isReferenceByte || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self)
      || [UInt8(ascii: "."), UInt8(ascii: "_")].contains(self)
  }
}
