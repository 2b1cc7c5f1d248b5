import Foundation
import Testing

@testable import Inference

/// Values worked out by hand from gemmlowp's definitions.
@Suite("Fixed-point arithmetic")
struct FixedPointTests {
  @Test("multipliers as QuantizeMultiplier makes them")
  func multipliers() {
    #expect(FixedPoint.Multiplier(0.5) == .init(mantissa: 1 << 30, exponent: 0))
    #expect(FixedPoint.Multiplier(1) == .init(mantissa: 1 << 30, exponent: 1))
    #expect(FixedPoint.Multiplier(0.75) == .init(mantissa: 1_610_612_736, exponent: 0))
    #expect(FixedPoint.Multiplier(-0.25) == .init(mantissa: -(1 << 30), exponent: -1))
    // The mantissa rounds up to 2^31 and is halved.
    #expect(FixedPoint.Multiplier(1 - 1e-12) == .init(mantissa: 1 << 30, exponent: 1))
    #expect(FixedPoint.Multiplier(1e-10) == .zero)
    #expect(FixedPoint.Multiplier(0) == .zero)
  }

  @Test("the high multiplication rounds halves up")
  func doublingHighMultiply() {
    #expect(FixedPoint.doublingHighMultiply(1, 1 << 30) == 1)
    #expect(FixedPoint.doublingHighMultiply(-1, 1 << 30) == 0)
    #expect(FixedPoint.doublingHighMultiply(3, 1 << 30) == 2)
    #expect(FixedPoint.doublingHighMultiply(-3, 1 << 30) == -1)
    #expect(FixedPoint.doublingHighMultiply(.min, .min) == .max)
  }

  @Test("the shift rounds halves away from zero")
  func roundingShift() {
    #expect([5, 6, 7, -5, -6, -7].map { FixedPoint.roundingShiftRight($0, 2) } == [1, 2, 2, -1, -2, -2])
    #expect(FixedPoint.roundingShiftRight(.max, 31) == 1)
    #expect(FixedPoint.roundingShiftRight(.min, 31) == -1)
    #expect(FixedPoint.roundingShiftRight(-12345, 0) == -12345)
  }

  @Test("a left shift wraps in 32 bits")
  func wrap() {
    // 2^30 << 2 wraps to 0.
    #expect(FixedPoint.multiply(1 << 30, by: .init(mantissa: 1 << 30, exponent: 2)) == 0)
    #expect(FixedPoint.multiply(100, by: .init(FixedPoint.Multiplier(2.5).mantissa, 2)) == 250)
  }

  @Test("exponential, logistic and tanh agree with the platform's float64 functions")
  func transcendental() {
    for step in -4000...4000 {
      let x = Double(step) / 100
      #expect(abs(Transcendental.exponential(x) / exp(x) - 1) < 2e-15)
      #expect(Transcendental.tanh(Float(x)) == Float(Foundation.tanh(Double(Float(x)))))
      let logistic = 1 / (1 + exp(-Double(Float(x))))
      #expect(abs(Double(Transcendental.logistic(Float(x))) / logistic - 1) < 2e-7)
    }
    #expect(Transcendental.exponential(1000) == .infinity)
    #expect(Transcendental.exponential(-1000) == 0)
  }
}

extension FixedPoint.Multiplier {
  fileprivate init(_ mantissa: Int32, _ exponent: Int32) {
    self.init(mantissa: mantissa, exponent: exponent)
  }
}
