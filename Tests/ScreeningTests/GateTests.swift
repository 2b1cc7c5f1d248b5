import Screening
import Testing

/// Each gate with a scene that passes it, one that just fails it and one that fails it by far.
@Suite struct GateTests {
  private func gates(
    _ frame: [Float], _ conditions: AcquisitionConditions = AcquisitionConditions(), _ limits: GateLimits = GateLimits()
  ) -> [QualityGate] {
    QualityGate.evaluate(subject: SubjectMeasurements(celsius: frame), conditions: conditions, limits: limits)
  }

  private func failed(_ gates: [QualityGate]) -> Set<QualityGate.Code> {
    Set(gates.filter { !$0.passed }.map(\.code))
  }

  private func torso(_ change: (inout SyntheticTorso) -> Void) -> [Float] {
    var torso = SyntheticTorso()
    change(&torso)
    return torso.frame()
  }

  private func painted(_ pixels: [(rows: ClosedRange<Int>, columns: ClosedRange<Int>)], celsius: Float) -> [Float] {
    var frame = SyntheticTorso().frame()
    for (rows, columns) in pixels {
      for row in rows { for column in columns { frame[row * 32 + column] = celsius } }
    }
    return frame
  }

  /// Checks the three, and that the value of the one that just fails is within `margin` of the limit.
  private func check(
    _ code: QualityGate.Code, passes: [Float], justFails: [Float], farFails: [Float], margin: Double,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    func gate(_ frame: [Float]) throws -> QualityGate {
      try #require(gates(frame).first { $0.code == code }, sourceLocation: sourceLocation)
    }
    let (good, near, far) = try (gate(passes), gate(justFails), gate(farFails))
    #expect(good.passed, "passes: \(good)", sourceLocation: sourceLocation)
    #expect(!near.passed, "just fails: \(near)", sourceLocation: sourceLocation)
    #expect(!far.passed, "far fails: \(far)", sourceLocation: sourceLocation)
    #expect(abs(near.value - near.limit) <= margin, "just: \(near)", sourceLocation: sourceLocation)
    #expect(
      abs(far.value - far.limit) > 2 * abs(near.value - near.limit), "far: \(far)", sourceLocation: sourceLocation)
    #expect(good.sentence != near.sentence && near.severity == far.severity, sourceLocation: sourceLocation)
  }

  @Test func subjectPresent() throws {
    try check(
      .subjectPresent, passes: torso { $0.skin = 26 }, justFails: torso { $0.skin = 24.4 },
      farFails: [Float](repeating: 22, count: 768), margin: 0.3)
  }

  @Test func tooNear() throws {
    func filling(_ width: Float, from row: Int) -> [Float] {
      torso {
        $0.halfWidth = width
        $0.firstRow = row
      }
    }
    try check(
      .tooNear, passes: filling(13, from: 2), justFails: filling(30, from: 1), farFails: skinAlone, margin: 0.04)
  }

  @Test func tooFar() throws {
    try check(
      .tooFar, passes: torso { $0.halfWidth = 7 }, justFails: torso { $0.halfWidth = 6 },
      farFails: torso { $0.halfWidth = 3 }, margin: 0.05)
  }

  @Test func cutOff() throws {
    // At one side on so many rows: a step in the outline.
    func cut(fromRow row: Int) -> [Float] {
      painted([(row...23, 0...10)], celsius: 31)
    }
    try check(.cutOff, passes: cut(fromRow: 14), justFails: cut(fromRow: 8), farFails: cut(fromRow: 3), margin: 0.1)
  }

  @Test func offCentre() throws {
    func aside(_ columns: Float) -> [Float] {
      torso {
        $0.halfWidth = 8
        $0.centreColumn += columns
      }
    }
    try check(.offCentre, passes: aside(-3), justFails: aside(4), farFails: aside(-7), margin: 0.7)
  }

  @Test func rotated() throws {
    func leaning(_ slope: Float) -> [Float] {
      torso {
        $0.halfWidth = 8
        $0.slope = slope
      }
    }
    try check(.rotated, passes: leaning(-0.15), justFails: leaning(0.24), farFails: leaning(-0.5), margin: 0.06)
  }

  @Test func hotObject() throws {
    // The skin's warm end is about 31.9: small and large, beside the body and on it.
    func hot(_ celsius: Float) -> [Float] { painted([(4...5, 1...2)], celsius: celsius) }
    try check(.hotObject, passes: hot(36), justFails: hot(37.3), farFails: hot(80), margin: 0.6)
    for celsius: Float in [45, 60, 95, 300] {
      for place in [(0...5, 0...4), (10...17, 12...19), (2...20, 26...31)] {
        let frame = painted([(rows: place.0, columns: place.1)], celsius: celsius)
        #expect(failed(gates(frame)).contains(.hotObject), "\(celsius) at \(place)")
      }
    }
  }

  @Test func coldObject() throws {
    func cold(_ celsius: Float) -> [Float] { painted([(0...1, 0...2)], celsius: celsius) }
    try check(.coldObject, passes: cold(16.5), justFails: cold(15.5), farFails: cold(-20), margin: 0.7)
    for celsius: Float in [5, -40] {
      for place in [(0...6, 0...3), (8...12, 0...2), (10...13, 14...17)] {
        let frame = painted([(rows: place.0, columns: place.1)], celsius: celsius)
        #expect(failed(gates(frame)).contains(.coldObject), "\(celsius) at \(place)")
      }
    }
  }

  @Test func clothed() throws {
    try check(
      .clothed, passes: torso { $0.skin = 29.3 }, justFails: torso { $0.skin = 28.8 },
      farFails: torso { $0.skin = 27 }, margin: 0.3)
    // A shirt with a warm face and hands above it is a shirt.
    var dressed = torso { $0.skin = 28 }
    for row in 3...4 { for column in 13...18 { dressed[row * 32 + column] = 34 } }
    #expect(failed(gates(dressed)).contains(.clothed))
  }

  @Test func checkerboard() throws {
    try check(
      .checkerboard, passes: torso { $0.checkerboard = 0.2 }, justFails: torso { $0.checkerboard = 0.34 },
      farFails: torso { $0.checkerboard = 2 }, margin: 0.1)
  }

  @Test func lens() throws {
    func fogged(_ contrast: Float) -> [Float] {
      // The outline drawn out over many columns.
      var frame = [Float](repeating: 0, count: 768)
      for pixel in 0..<768 {
        let distance = abs(Float(pixel % 32) - 15.5)
        frame[pixel] = 22 + 10 * min(1, max(0, (14 - distance) / contrast))
      }
      return frame
    }
    try check(.lens, passes: fogged(6), justFails: fogged(14), farFails: fogged(24), margin: 0.2)
  }

  /// A limit, a value at it, one just beyond it and one far beyond it.
  @Test(
    arguments: [
      (QualityGate.Code.settling, [0, 1, 1]), (.ambientDrift, [0.2, 0.201, 5]), (.ambientDrift, [-0.2, -0.201, -5]),
      (.motion, [1.5, 1.501, 20]), (.deadPixels, [10, 11, 768]), (.noise, [0.2, 0.201, 3]),
      (.notAcclimatised, [0, 1, 600]), (.clockUnsynchronised, [0, 1, 1]), (.ambientRange, [18, 17.999, -20]),
      (.ambientRange, [25, 25.001, 60]),
    ] as [(QualityGate.Code, [Double])])
  func acquisition(code: QualityGate.Code, values: [Double]) throws {
    let found = try values.map { value in
      var conditions = AcquisitionConditions()
      switch code {
      case .settling: conditions.settling = value == 1
      case .ambientRange: conditions.ambientCelsius = value
      case .ambientDrift: conditions.ambientDriftCelsiusPerMinute = value
      case .motion: conditions.motionCelsius = value
      case .deadPixels: conditions.deadPixels = Int(value)
      case .noise: conditions.noiseCelsius = value
      case .notAcclimatised: conditions.acclimatisationMissingSeconds = value
      default: conditions.clockSynchronised = value == 0
      }
      return try #require(gates(SyntheticTorso().frame(), conditions).first { $0.code == code })
    }
    #expect(found.map(\.passed) == [true, false, false])
    #expect(found.map(\.value) == (code == .ambientDrift ? values.map(abs) : values))
  }

  @Test func whatAPictureTellsItselfIsUsedOnlyWithoutAMeasurement() throws {
    func value(_ code: QualityGate.Code, _ conditions: AcquisitionConditions, _ frame: [Float]) -> Double? {
      gates(frame, conditions).first { $0.code == code }?.value
    }
    let noisy = torso { $0.noise = 0.6 }
    let room = try #require(value(.ambientRange, AcquisitionConditions(), torso { $0.ambient = 14 }))
    #expect(abs(room - 14) < 0.2)
    // Uniform noise of 0.6 has a standard deviation of 0.346; going by medians overstates it by up to a half.
    let noise = try #require(value(.noise, AcquisitionConditions(), noisy))
    #expect((0.33...0.6).contains(noise))
    var known = AcquisitionConditions()
    known.ambientCelsius = 20
    known.noiseCelsius = 0.05
    #expect(value(.ambientRange, known, noisy) == 20)
    #expect(value(.noise, known, noisy) == 0.05)
  }

  /// The outline cannot be found, the temperatures tell.
  private let skinAlone = (0..<768).map { 31 + 2.5 * Float($0 / 32) / 24 }

  @Test func aBodyThatFillsTheFrameIsTooNearAndNotNobody() {
    #expect(failed(gates(skinAlone)) == [.tooNear, .lens])
    let wall = [Float](repeating: 31, count: 768)
    #expect(failed(gates(wall)) == [.subjectPresent])
  }

  @Test func aHotRoomIsABackgroundAndARadiatorIsNoPerson() throws {
    let tropics = torso {
      $0.ambient = 30.5
      $0.skin = 34
    }
    #expect(failed(gates(tropics)) == [.ambientRange])
    let radiator = (0..<768).map { $0 / 32 > 12 && $0 % 32 > 20 ? Float(55) : 21 }
    let gate = try #require(gates(radiator).first { $0.code == .subjectPresent })
    #expect(!gate.passed && gate.value < gate.limit)
  }

  @Test func severalFaultsAreAllNamed() {
    var conditions = AcquisitionConditions()
    conditions.motionCelsius = 4
    conditions.deadPixels = 40
    conditions.settling = true
    var frame = torso {
      $0.halfWidth = 5
      $0.slope = 0.4
      $0.checkerboard = 1
    }
    frame[0] = 70
    #expect(
      failed(gates(frame, conditions)).isSuperset(of: [
        .settling, .motion, .deadPixels, .tooFar, .rotated, .checkerboard, .hotObject,
      ]))
    conditions = AcquisitionConditions()
    conditions.ambientCelsius = 30
    conditions.clockSynchronised = false
    #expect(
      failed(gates(torso { $0.skin = 28 }, conditions)) == [.ambientRange, .clockUnsynchronised, .clothed])
  }

  @Test func everyGateIsMeasuredOnceAndAllButTheNetworksAreThere() {
    var conditions = AcquisitionConditions()
    conditions.settling = false
    conditions.ambientDriftCelsiusPerMinute = 0
    conditions.motionCelsius = 0
    conditions.deadPixels = 0
    conditions.clockSynchronised = true
    conditions.acclimatisationMissingSeconds = 0
    let codes = gates(SyntheticTorso().frame(), conditions).map(\.code)
    #expect(Set(codes) == Set(QualityGate.Code.allCases).subtracting([.quality]))
    #expect(codes.count == Set(codes).count)
  }

  @Test func aFrameThatIsNoneFailsHard() throws {
    for frame in [[], [Float](repeating: 22, count: 767), [Float](repeating: .nan, count: 768)] {
      let gate = try #require(gates(frame).first { $0.code == .subjectPresent })
      #expect(!gate.passed && gate.severity == .hard)
    }
  }

  @Test func limitsAndSeveritiesAreWhatTheyAreSetTo() throws {
    var limits = GateLimits()
    limits.tiltMaximum = 0.5
    limits.hardGates = [.lens]
    let found = gates(torso { $0.slope = 0.3 }, AcquisitionConditions(), limits)
    let rotated = try #require(found.first { $0.code == .rotated })
    #expect(rotated.passed && rotated.limit == 0.5 && rotated.severity == .soft)
    #expect(found.first { $0.code == .lens }?.severity == .hard)
  }
}
