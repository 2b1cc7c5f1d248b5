import Testing
import Thermography

/// The one rounding of temperatures, held against integers: no floating point judges itself here.
@Suite struct CentikelvinTests {
  @Test func everyStepOfAGridIsTheNearestWholeNumber() {
    // Float32 holds each 2048th of a degree from 20 to 60 exactly, so the truth is a fraction of integers.
    var ties = 0
    for step in 20 * 2048..<60 * 2048 {
      let twice = 2 * (step * 100 + 27315 * 2048)
      if twice % 4096 == 2048 { ties += 1 }
      #expect(Centikelvin.nearest(toCelsius: Float(step) / 2048) == (twice + 2048) / 4096)
    }
    #expect(ties == 160)  // the odd eighths
  }

  @Test func tiesGoAwayFromZero() {
    // Odd eighths of a degree are the only ties that float32 can hold, below zero Celsius too.
    #expect(Centikelvin.nearest(toCelsius: 0.125) == 27328)
    #expect(Centikelvin.nearest(toCelsius: -0.125) == 27303)
    #expect(Centikelvin.nearest(toCelsius: 36.625) == 30978)
    #expect(Centikelvin.nearest(toCelsius: -40.375) == 23278)
    #expect(Centikelvin.nearest(toCelsius: Float(36.625).nextDown) == 30977)
    #expect(Centikelvin.nearest(toCelsius: Float(36.625).nextUp) == 30978)
  }

  @Test func theLimitsAndWhatIsNoNumber() {
    #expect(Centikelvin.nearest(toCelsius: -273.15) == 0)
    #expect(Centikelvin.nearest(toCelsius: -273.156) == nil)
    #expect(Centikelvin.nearest(toCelsius: 382.2) == 65535)
    #expect(Centikelvin.nearest(toCelsius: 382.206) == nil)
    #expect(Centikelvin.nearest(toCelsius: .leastNonzeroMagnitude) == 27315)
    for value in [Float.nan, .infinity, -.infinity, .signalingNaN] {
      #expect(Centikelvin.nearest(toCelsius: value) == nil)
      #expect(Centikelvin.sample(ofCelsius: value) == Centikelvin.noValue)
    }
    for value in [Float.greatestFiniteMagnitude, 382.206, 10_000] {
      #expect(Centikelvin.sample(ofCelsius: value) == 65535)
    }
    // 0 stands for no value: the coldest that there is has the sample 1.
    for value in [-Float.greatestFiniteMagnitude, -300, -273.15, -273.14] {
      #expect(Centikelvin.sample(ofCelsius: value) == 1)
    }
  }

  @Test func everySampleComesBack() {
    for sample in UInt16(1)...UInt16.max {
      #expect(Centikelvin.sample(ofCelsius: Centikelvin.celsius(ofSample: sample)) == sample)
    }
  }

  @Test func whatIsStoredIsStoredTheSameAgain() {
    var celsius = (0..<768).map { 20 + Float($0) * 0.0237 }
    celsius[5] = .nan
    celsius[6] = 1e9
    celsius[7] = -1e9
    var thermogram = Thermogram(celsius: celsius, ambientCelsius: 25)
    thermogram.states[8] = .interpolated
    thermogram.standardErrorCelsius = (0..<768).map { Float($0) * 0.00031 }
    thermogram.standardErrorCelsius[9] = .infinity
    let stored = thermogram.stored
    #expect(stored != thermogram)
    #expect(stored.stored == stored)
    #expect(stored.centikelvin == thermogram.centikelvin)
    #expect(stored.states[5] == .invalid && stored.celsius[5] == 0)
    #expect(stored.states[8] == .interpolated && stored.standardErrorCelsius[8] == 0)
    #expect(stored.standardErrorCelsius[9] == 0)
    #expect(zip(stored.celsius, celsius).dropFirst(10).allSatisfy { abs($0 - $1) <= 0.00501 })
  }
}
