import CAllocationCount
import Foundation
import Provenance
import Testing
import Thermography

@testable import Screening

/// Whatever pictures are compared, there is an answer in the same time and memory, and nothing is claimed of nothing.
@Suite struct ChangeHostileTests {
  private static let cases =
    ProcessInfo.processInfo.environment["THERMOGRAPH_CHANGE_CASES"].flatMap(Int.init) ?? 300

  private func person(_ seed: UInt64, sessions: Int) -> [[Float]] {
    var person = SimulatedPerson(seed: seed, fieldDeviation: 0.2)
    return (0..<sessions).map { _ in person.picture() }
  }

  private func thermogram(_ celsius: [Float]) -> Thermogram { Thermogram(celsius: celsius, ambientCelsius: 30) }

  @Test func fewerThanThreeSessionsTellNothing() {
    var comparator = ChangeComparator()
    let frames = person(1, sessions: 4).compactMap { ChangeFrame(thermogram($0), camera: "a") }
    for count in 0..<3 {
      #expect(comparator.compare(frames[3], with: Array(frames[..<count])) == .notEnoughSessions(count))
    }
    guard case .compared = comparator.compare(frames[3], with: Array(frames[..<3])) else {
      Issue.record("three sessions are enough")
      return
    }
  }

  @Test func noBodyAndAnotherGridAreNotComparable() throws {
    var comparator = ChangeComparator()
    let frames = person(2, sessions: 4).compactMap { ChangeFrame(thermogram($0), camera: "a") }
    #expect(ChangeFrame(thermogram(Array(repeating: 30, count: 768)), camera: "a") == nil)
    #expect(ChangeFrame(thermogram(Array(repeating: .nan, count: 768)), camera: "a") == nil)
    guard case .notComparable(frames.count, let reason) = comparator.compare(nil, with: frames) else {
      Issue.record("a picture without a body was compared")
      return
    }
    #expect(reason.contains("no body"))
    let other = try #require(SensorGeometry(columns: 16, rows: 12))
    let small = (0..<other.pixelCount).map { Float($0 % 16 > 4 ? 32 : 22) }
    let frame = try #require(
      ChangeFrame(
        geometry: other, celsius: small, measured: small.map { _ in true }, noiseCelsius: 0, camera: "a"))
    for outcome in [
      comparator.compare(frame, with: frames), comparator.compare(frames[0], with: [frame, frame, frame]),
    ] {
      guard case .notComparable(_, let reason) = outcome else {
        Issue.record("\(outcome)")
        continue
      }
      #expect(reason.contains("32 x 24"))
    }
  }

  /// What was not measured is neither compared nor compared with; with nothing left there is a reason and no claim.
  @Test func unmeasuredPixelsAreLeftOut() throws {
    var comparator = ChangeComparator()
    let pictures = person(3, sessions: 4)
    let frames = pictures[..<3].compactMap { ChangeFrame(thermogram($0), camera: "a") }
    var dead = pictures[3]
    for row in 6..<12 { for column in 8..<16 { dead[row * 32 + column] = .nan } }
    let outcome = comparator.compare(ChangeFrame(thermogram(dead), camera: "a"), with: frames)
    guard case .compared(let found) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    for row in 6..<12 { for column in 8..<16 { #expect(!found.assessed[row * 32 + column]) } }
    #expect(found.places.isEmpty && found.assessed.contains(true))

    var almostAll = pictures[3]
    for pixel in 0..<768 where pixel % 32 < 15 || pixel % 32 > 17 { almostAll[pixel] = .nan }
    let rest = comparator.compare(ChangeFrame(thermogram(almostAll), camera: "a"), with: frames)
    if case .compared(let found) = rest { #expect(found.places.isEmpty) }
  }

  /// A picture of somebody, or something, else: no trap, and whatever is said is finite.
  @Test func anythingAtAllHasAnAnswer() throws {
    var generator = SeededGenerator(seed: 77)
    let grid = try #require(SensorGeometry(columns: 20, rows: 18))
    var comparator = ChangeComparator(geometry: grid)
    var compared = 0
    for number in 0..<Self.cases {
      func picture() -> ChangeFrame? {
        let kind = Int(generator.uniform() * 6)
        let celsius = (0..<grid.pixelCount).map { pixel -> Float in
          let body = pixel % grid.columns > 1 && pixel % grid.columns < 18
          switch kind {
          case 0: return Float(22 + 12 * generator.uniform())
          case 1: return body ? Float(31 + generator.normal()) : 22
          case 2: return body ? Float(31 + 0.001 * generator.normal()) : 22
          case 3: return Float(-273 + 650 * generator.uniform())
          case 4: return body ? (generator.uniform() < 0.1 ? 380 : 31) : -270
          default: return (pixel / grid.columns).isMultiple(of: 2) ? 34 : 20
          }
        }
        let measured = celsius.map { _ in kind != 1 || generator.uniform() < 0.9 }
        let noise = [0, 0.05, 1e9, .nan, -1, .infinity][Int(generator.uniform() * 6)]
        return ChangeFrame(
          geometry: grid, celsius: celsius, measured: measured, noiseCelsius: noise,
          camera: generator.uniform() < 0.5 ? "a" : "b")
      }
      let earlier = (0..<Int(generator.uniform() * 10)).compactMap { _ in picture() }
      switch comparator.compare(picture(), with: earlier) {
      case .compared(let found):
        compared += 1
        #expect(found.largest.isFinite && found.minimumDetectableCelsius > 0, "case \(number)")
        #expect(found.minimumDetectableCelsius.isFinite && found.places.count <= ChangeRules.maximumPlaces)
        for place in found.places { #expect(place.celsius.isFinite && place.pixels > 0) }
        for pixel in found.assessed.indices where found.assessed[pixel] {
          #expect(found.heightCelsius[pixel].isFinite && found.spreadCelsius[pixel] > 0, "case \(number)")
        }
      case .notComparable(_, let reason): #expect(!reason.isEmpty)
      case .notEnoughSessions(let count): #expect(count < 3)
      }
    }
    #expect(compared > Self.cases / 20, "only \(compared) of \(Self.cases) came to a comparison")
  }

  /// The same pictures give the same bits, whatever was compared in between.
  @Test func theComparisonRemembersNothing() throws {
    var comparator = ChangeComparator()
    let one = person(4, sessions: 5).compactMap { ChangeFrame(thermogram($0), camera: "a") }
    let two = person(5, sessions: 9).compactMap { ChangeFrame(thermogram($0), camera: "a") }
    let first = comparator.compare(one[4], with: Array(one[..<4]))
    _ = comparator.compare(two[8], with: Array(two[..<8]))
    var fresh = ChangeComparator()
    for again in [comparator.compare(one[4], with: Array(one[..<4])), fresh.compare(one[4], with: Array(one[..<4]))] {
      guard case .compared(let a) = first, case .compared(let b) = again else {
        Issue.record("not compared")
        continue
      }
      #expect(a.heightCelsius.map(\.bitPattern) == b.heightCelsius.map(\.bitPattern))
      #expect(a.spreadCelsius.map(\.bitPattern) == b.spreadCelsius.map(\.bitPattern) && a.places == b.places)
      #expect(a.minimumDetectableCelsius == b.minimumDetectableCelsius)
    }
  }

  /// Memory is taken at the beginning: no pass over the pixels asks the allocator once a pixel. Of a session there are 19 steps
  /// over 768 pixels, so one such pass would already be beyond this.
  @Test func noPassOverThePixelsAllocates() throws {
    var comparator = ChangeComparator()
    let frames = person(6, sessions: 9).compactMap { ChangeFrame(thermogram($0), camera: "a") }
    func allocations(_ count: Int) -> Int {
      let earlier = Array(frames[..<count])
      allocation_counts_reset()
      let outcome = comparator.compare(frames[8], with: earlier)
      let counts = allocation_counts_read()
      guard case .compared = outcome else { return .max }
      return Int(counts.allocations)
    }
    _ = allocations(8)
    let (three, eight) = (allocations(3), allocations(8))
    print("change: allocations \(three) with three sessions, \(eight) with eight")
    #expect(eight - three < 5 * 768 && eight < 19 * 768)
  }
}
