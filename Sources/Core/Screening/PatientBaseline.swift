import Provenance

/// What the history keeps of one earlier capture of a patient.
package struct EarlierCapture: Sendable, Hashable {
  package var sessionID: RandomIdentifier
  package var view: CaptureView
  /// Orders attempts within a session: the outbox's sequence.
  package var sequence: Int64
  package var regions: [RegionTemperature]

  package init(sessionID: RandomIdentifier, view: CaptureView, sequence: Int64, regions: [RegionTemperature]) {
    self.sessionID = sessionID
    self.view = view
    self.sequence = sequence
    self.regions = regions
  }
}

/// How a patient's present capture differs from their own earlier ones: an observation, never a diagnosis.
package struct ChangeSinceBaseline: Sendable, Hashable, Codable {
  /// What goes with the numbers wherever they are shown.
  package static let note = "change since baseline; not a diagnosis"

  package struct Region: Sendable, Hashable, Codable {
    package var name: RegionTemperature.Name
    /// Present minus mean of the earlier sessions, of the temperature relative to the whole subject, degC.
    package var changeCelsius: Double
    /// Mean and standard deviation of the earlier sessions, degC.
    package var baselineCelsius: Double
    package var spreadCelsius: Double
    /// Whether the change lies outside the range in which the next capture of an unchanged patient is expected.
    package var isUnusual: Bool

    private enum CodingKeys: String, CodingKey {
      case name
      case changeCelsius = "change_celsius"
      case baselineCelsius = "baseline_celsius"
      case spreadCelsius = "spread_celsius"
      case isUnusual = "unusual"
    }
  }

  /// Earlier sessions that were compared with, at least `PatientBaseline.minimumSessions`.
  package var sessions: Int
  package var regions: [Region]
  package var note: String

  /// Regions that must be compared for a word on the whole picture, and their mean change in degC.
  static let unlikeRegions = 4
  static let unlikeCelsius = 0.5

  /// The whole picture is unlike this person's earlier ones: two thirds of at least `unlikeRegions` regions are unusual, and
  /// they changed by `unlikeCelsius` in the mean. It rests on the means of six coarse regions alone, recognises nobody, and
  /// two people may well be alike: a reason to look whose tag it was, and nothing more. How rare a false word is was worked
  /// out with drawn numbers (`UnlikeEarlierTests`), not with people.
  package var isUnlikeEarlier: Bool {
    let unusual = regions.count(where: \.isUnusual)
    guard regions.count >= Self.unlikeRegions, unusual * 3 >= regions.count * 2 else { return false }
    return regions.reduce(0) { $0 + abs($1.changeCelsius) } >= Self.unlikeCelsius * Double(regions.count)
  }
}

/// A patient's own earlier captures of one view, one for each session: for each region what the change is held against.
package struct PatientBaseline: Sendable, Equatable, Codable {
  package static let minimumSessions = 3
  /// The newest sessions that are looked at.
  package static let maximumSessions = 32
  /// Earlier sessions never spread less than this, degC: what positions and breathing alone make of a region of an
  /// unchanged person between two days. An assumption, not a measurement.
  package static let spreadFloorCelsius = 0.2

  /// One region of the earlier sessions in which it was seen, at least `minimumSessions`.
  private struct Region: Sendable, Equatable, Codable {
    var name: RegionTemperature.Name
    var sessions: Int
    /// Mean and standard deviation of the temperature relative to the whole subject, degC.
    var meanCelsius: Double
    var spreadCelsius: Double

    private enum CodingKeys: String, CodingKey {
      case name, sessions
      case meanCelsius = "mean_celsius"
      case spreadCelsius = "spread_celsius"
    }
  }

  /// Earlier sessions, at most `maximumSessions`.
  private let sessions: Int
  private let regions: [Region]

  /// - Parameters:
  ///   - earlier: captures of this patient, in any order; those of another view or of `sessionID` do not count.
  ///   - sessionID: the session under way.
  /// - Returns: nil with fewer than `minimumSessions` earlier sessions.
  package init?(_ earlier: [EarlierCapture], view: CaptureView, excluding sessionID: RandomIdentifier?) {
    var newest: [RandomIdentifier: EarlierCapture] = [:]
    for capture in earlier where capture.view == view && capture.sessionID != sessionID && !capture.regions.isEmpty {
      if let known = newest[capture.sessionID], known.sequence >= capture.sequence { continue }
      newest[capture.sessionID] = capture
    }
    guard newest.count >= Self.minimumSessions else { return nil }
    let earlierRegions = newest.values.sorted { $0.sequence > $1.sequence }.prefix(Self.maximumSessions).map(\.regions)
    sessions = earlierRegions.count
    regions = RegionTemperature.Name.allCases.compactMap { name in
      let seen = earlierRegions.compactMap { session in session.first { $0.name == name }?.relativeCelsius }
      guard seen.count >= Self.minimumSessions else { return nil }
      let count = Double(seen.count)
      let mean = seen.reduce(0, +) / count
      let variance = seen.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
      return Region(name: name, sessions: seen.count, meanCelsius: mean, spreadCelsius: variance.squareRoot())
    }
  }

  /// From a file: what could not have been computed is refused.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    sessions = try container.decode(Int.self, forKey: .sessions)
    regions = try container.decode([Region].self, forKey: .regions)
    let known = Self.minimumSessions...Self.maximumSessions
    guard known.contains(sessions), regions.allSatisfy({ known.contains($0.sessions) && $0.spreadCelsius >= 0 }) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: container.codingPath, debugDescription: "expected \(known) sessions and spreads from 0"))
    }
    for region in regions {
      try BasisBounds.check(region.meanCelsius, container.codingPath)
      try BasisBounds.check(region.spreadCelsius, container.codingPath)
    }
  }

  /// Holds the regions of the present capture against the earlier ones. A region that was seen in fewer than
  /// `minimumSessions` earlier sessions is left out; nil when none is left.
  package func change(of regions: [RegionTemperature]) -> ChangeSinceBaseline? {
    let changes = regions.compactMap { change(of: $0) }
    guard !changes.isEmpty else { return nil }
    return ChangeSinceBaseline(sessions: sessions, regions: changes, note: ChangeSinceBaseline.note)
  }

  private func change(of region: RegionTemperature) -> ChangeSinceBaseline.Region? {
    guard let earlier = regions.first(where: { $0.name == region.name }) else { return nil }
    let (mean, spread) = (earlier.meanCelsius, earlier.spreadCelsius)
    let change = region.relativeCelsius - mean
    // The range of one further value of a normal distribution of which so many are known (prediction interval, 95 %).
    let expected =
      Self.student95(degreesOfFreedom: earlier.sessions - 1) * max(spread, Self.spreadFloorCelsius)
      * (1 + 1 / Double(earlier.sessions)).squareRoot()
    func thousandth(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
    return ChangeSinceBaseline.Region(
      name: region.name, changeCelsius: thousandth(change), baselineCelsius: thousandth(mean),
      spreadCelsius: thousandth(spread), isUnusual: abs(change) > expected)
  }

  /// The two-sided 95 % quantile of Student's t; 1.96 and a little from 31 on.
  private static func student95(degreesOfFreedom: Int) -> Double {
    let table = [
      12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ]
    return degreesOfFreedom <= table.count ? table[max(degreesOfFreedom, 1) - 1] : 2.04
  }
}
