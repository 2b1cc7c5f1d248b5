import Foundation
import Provenance
import Screening
import Testing

/// "Unlike this person's earlier pictures": rarely said wrongly, and said for most others once there are ten sessions.
///
/// People are drawn numbers here: six regional offsets a person, normal between persons, and normal around them from day to
/// day, half of that shared by all regions. No measurement of real people stands behind the figures.
@Suite struct UnlikeEarlierTests {
  private static let betweenPersonsCelsius = 0.8

  private func normal(_ generator: inout SeededGenerator) -> Double {
    let one = Double.random(in: 1e-9..<1, using: &generator)
    return (-2 * log(one)).squareRoot() * cos(2 * .pi * Double.random(in: 0..<1, using: &generator))
  }

  private func person(_ generator: inout SeededGenerator) -> [Double] {
    (0..<6).map { _ in Self.betweenPersonsCelsius * normal(&generator) }
  }

  private func day(of person: [Double], within: Double, _ generator: inout SeededGenerator) -> [RegionTemperature] {
    let shared = normal(&generator)
    return zip(RegionTemperature.Name.allCases, person).map { name, offset in
      let relative = offset + within * (0.5.squareRoot() * shared + 0.5.squareRoot() * normal(&generator))
      return RegionTemperature(name: name, celsius: 33, relativeCelsius: relative, spreadCelsius: 0.4, pixels: 60)
    }
  }

  /// Share of pictures that are called unlike, of the same person and of another one.
  private func shares(sessions: Int, within: Double, trials: Int) throws -> (same: Double, other: Double) {
    var generator = SeededGenerator(seed: UInt64(sessions) * 1000 + UInt64(within * 100))
    var (same, other) = (0, 0)
    for _ in 0..<trials {
      let anna = person(&generator)
      let earlier = (1...sessions).map { number in
        EarlierCapture(
          sessionID: RandomIdentifier(using: &generator), view: .frontal, sequence: Int64(number),
          regions: day(of: anna, within: within, &generator))
      }
      let baseline = try #require(PatientBaseline(earlier, view: .frontal, excluding: nil))
      if baseline.change(of: day(of: anna, within: within, &generator))?.isUnlikeEarlier == true { same += 1 }
      let berta = person(&generator)
      if baseline.change(of: day(of: berta, within: within, &generator))?.isUnlikeEarlier == true { other += 1 }
    }
    return (Double(same) / Double(trials), Double(other) / Double(trials))
  }

  @Test(arguments: [3, 5, 10, 20], [0.1, 0.2, 0.4])
  func thePersonsOwnPictureIsSeldomCalledUnlike(sessions: Int, within: Double) throws {
    let found = try shares(sessions: sessions, within: within, trials: 2000)
    #expect(found.same <= 0.01, "\(sessions) sessions, \(within) degC: \(found)")
    if sessions >= 10, within <= 0.2 { #expect(found.other >= 0.5, "\(sessions) sessions, \(within) degC: \(found)") }
  }

  @Test func itTakesTheWholePictureAndNotOneRegion() throws {
    func change(_ values: [Double], unusual: Int) throws -> ChangeSinceBaseline {
      let regions = zip(RegionTemperature.Name.allCases, values).enumerated().map { index, pair in
        #"{"name":"\#(pair.0.rawValue)","change_celsius":\#(pair.1),"baseline_celsius":0,"spread_celsius":0.1,"#
          + #""unusual":\#(index < unusual)}"#
      }
      return try JSONDecoder().decode(
        ChangeSinceBaseline.self,
        from: Data(#"{"sessions":5,"note":"n","regions":[\#(regions.joined(separator: ","))]}"#.utf8))
    }
    // A large change of one side, as an illness makes it, is not another person.
    #expect(try !change([3, 3, 3, 0, 0, 0], unusual: 3).isUnlikeEarlier)
    #expect(try change([1, -1, 1, -1, 0, 0], unusual: 4).isUnlikeEarlier)
    #expect(try !change([0.4, -0.4, 0.4, -0.4, 0.1, 0.1], unusual: 4).isUnlikeEarlier, "too small to be worth a word")
    #expect(try !change([2, 2, 2], unusual: 3).isUnlikeEarlier, "too little of the person is seen")
  }
}
