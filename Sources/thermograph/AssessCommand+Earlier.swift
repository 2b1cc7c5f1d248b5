import Device
import Forwarding
import Screening
import Thermography

/// Earlier sessions of one person, from a file.
struct SessionSeries {
  private let sessions: [ChangeFrame]
  private var comparator = ChangeComparator()

  init(_ sessions: [[Float]], _ geometry: SensorGeometry) {
    self.sessions = sessions.compactMap { celsius in
      ChangeFrame(
        Thermogram(geometry: geometry, celsius: celsius, ambientCelsius: 25).interpolated(over: DefectivePixels()),
        camera: "")
    }
  }

  mutating func change(of thermogram: Thermogram, view: CaptureView) -> AssessedChange {
    guard ChangeRules.views.contains(view) else {
      return AssessedChange(.notMade(for: view, sessions: sessions.count))
    }
    return AssessedChange(
      ChangeReport(comparator.compare(ChangeFrame(thermogram, camera: ""), with: sessions)))
  }
}

/// What a record would say, and how near the threshold it was.
struct AssessedChange: Encodable {
  private let report: ChangeReport

  init(_ report: ChangeReport) { self.report = report }

  var text: String {
    let places = report.record.places.map { "\($0.celsius) degC at row \(Int($0.row)), column \(Int($0.column))" }
    return "change: \(report.record.state.rawValue)"
      + (report.record.reason.map { " (\($0))" } ?? "")
      + (places.isEmpty ? "" : ": " + places.joined(separator: "; "))
  }

  func encode(to encoder: any Encoder) throws {
    try report.record.encode(to: encoder)
    guard let findings = report.findings else { return }
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(findings.largest, forKey: .largest)
    try container.encode(findings.threshold, forKey: .threshold)
  }

  private enum CodingKeys: String, CodingKey {
    case largest, threshold
  }
}
