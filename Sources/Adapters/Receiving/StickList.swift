import Forwarding
import FoundationEssentials
import LocalFiles
import Provenance

/// What was found on a stick, for a person: `captures.csv` for a spreadsheet and `captures.html` for a browser, beside the
/// receipts. It names patients by their references, as corrections have them.
struct StickList {
  static let csvName = "captures.csv"
  static let htmlName = "captures.html"
  private static let columns = ["captured", "site", "device", "patient", "corrected", "view", "capture", "state"]

  /// The members of a record that the list shows; each is bounded by the record's own limit.
  private struct Shown: Decodable {
    struct Moment: Decodable { var utc: String }
    var site: String
    var device: String
    var patientRef: String
    var sessionID: RandomIdentifier
    var view: String
    var capturedAt: Moment

    private enum CodingKeys: String, CodingKey {
      case site, device, view
      case patientRef = "patient_ref"
      case sessionID = "session_id"
      case capturedAt = "captured_at"
    }
  }

  private struct Row {
    var captureID: RandomIdentifier
    var shown: Shown?
    var isStored: Bool

    /// By what holds now: what was corrected says so beside it.
    func cells(_ log: CorrectionLog?) -> [String] {
      let state = isStored ? "stored" : "not taken"
      guard let shown else { return ["", "", "", "", "", "", "\(captureID)", state] }
      let patient = log?.patient(of: shown.sessionID, recorded: shown.patientRef) ?? shown.patientRef
      var corrected = patient == shown.patientRef ? "" : "started under the tag of \(shown.patientRef)"
      if log?.isWithdrawn(shown.sessionID) == true { corrected = "withdrawn" }
      return [
        shown.capturedAt.utc, shown.site, shown.device, patient, corrected, shown.view, "\(captureID)", state,
      ]
    }
  }

  private var rows: [Row] = []

  /// - Parameters:
  ///   - record: as it lies on the stick; nil when it could not be read.
  ///   - isStored: whether a receipt vouches for it now.
  mutating func add(_ captureID: RandomIdentifier, record: [UInt8]?, isStored: Bool) {
    var shown: Shown?
    if let record {
      // What is no record has a row all the same: its state is what a person looks for.
      do { shown = try JSONDecoder().decode(Shown.self, from: Data(record)) } catch { shown = nil }
    }
    rows.append(Row(captureID: captureID, shown: shown, isStored: isStored))
  }

  /// - Parameter corrections: what holds for the captures of a device.
  /// - Returns: the names of the files.
  func write(
    on stick: borrowing OpenFolder, corrections: (_ site: String, _ device: String) throws -> CorrectionLog
  ) throws -> [String] {
    guard !rows.isEmpty else { return [] }
    var logs: [String: CorrectionLog] = [:]
    for case let shown? in rows.map(\.shown) where logs["\(shown.site)/\(shown.device)"] == nil {
      logs["\(shown.site)/\(shown.device)"] = try corrections(shown.site, shown.device)
    }
    let sorted = rows.map { row in row.cells(row.shown.flatMap { logs["\($0.site)/\($0.device)"] }) }
      .sorted { ($0[0], $0[6]) < ($1[0], $1[6]) }
    try stick.replace(Self.csvName, with: Array(Self.csv(sorted).utf8), mode: 0o644)
    try stick.replace(Self.htmlName, with: Array(Self.html(sorted).utf8), mode: 0o644)
    return [Self.csvName, Self.htmlName]
  }

  private static func csv(_ rows: [[String]]) -> String {
    ([columns] + rows).map { row in row.map(field).joined(separator: ",") + "\r\n" }.joined()
  }

  /// RFC 4180; a spreadsheet must not take a text for a formula.
  private static func field(_ text: String) -> String {
    let harmless = text.first.map { "=+-@\t\r".contains($0) } == true ? "'" + text : text
    guard harmless.contains(where: { ",\"\r\n".contains($0) }) else { return harmless }
    return "\"" + harmless.replacing("\"", with: "\"\"") + "\""
  }

  private static func html(_ rows: [[String]]) -> String {
    func line(_ row: [String], _ tag: String) -> String {
      "<tr>" + row.map { "<\(tag)>\(escaped($0))</\(tag)>" }.joined() + "</tr>\n"
    }
    let stored = rows.count { $0.last == "stored" }
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8"><title>Captures on this stick</title>
      <style>body{font-family:sans-serif}td,th{padding:0.2em 0.8em;text-align:left}</style></head><body>
      <h1>Captures on this stick</h1>
      <p>\(rows.count) captures, \(stored) of them stored. Research use only.</p>
      <table>
      \(line(columns, "th"))\(rows.map { line($0, "td") }.joined())</table></body></html>

      """
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }
}
