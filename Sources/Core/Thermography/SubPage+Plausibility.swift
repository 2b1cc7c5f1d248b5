extension SubPage {
  /// The word of a pixel or auxiliary value that was never measured.
  package static let unmeasured: UInt16 = 0x7FFF
  package static let supplyVolts = 3.0...3.6
  package static let ambientCelsius = -40.0...85.0
  package static let gainRatio = 0.5...2.0

  /// The reasons not to believe these words; empty for a good sub-page. Without a calibration only the words
  /// themselves are judged.
  package func faults(calibration: Calibration?) -> [SubPageFault] {
    var faults: [SubPageFault] = []
    for index in AuxiliaryIndex.used where words[index] == Self.unmeasured {
      // The other sub-page's compensation pixel may not have been measured yet, and is not used.
      if index == AuxiliaryIndex.compensationPixel0 && number == 1 { continue }
      if index == AuxiliaryIndex.compensationPixel1 && number == 0 { continue }
      faults.append(.auxiliaryUnmeasured(address: MLX90640Address.ram + UInt16(index)))
    }
    let missing = unmeasuredPixelCount
    if missing > MLX90640Geometry.subPagePixelCount / 4 { faults.append(.pixelsUnmeasured(count: missing)) }
    guard let calibration, faults.isEmpty else { return faults }
    let point = OperatingPoint(calibration: calibration, subPage: self)
    if !Self.supplyVolts.contains(point.vddVolts) { faults.append(.supplyImplausible(volts: point.vddVolts)) }
    if !Self.ambientCelsius.contains(point.taCelsius) {
      faults.append(.ambientImplausible(celsius: point.taCelsius))
    }
    let ratio = gainRatio(calibration: calibration)
    if !Self.gainRatio.contains(ratio) { faults.append(.gainImplausible(ratio: ratio)) }
    return faults
  }

  /// The gain's EEPROM value divided by the measured one at the same resolution: all of the converter's counts double
  /// with each bit (a real part calibrated at 18 bit and read at 16 bit shows a quarter).
  package func gainRatio(calibration: Calibration) -> Double {
    let steps = Double(1 << control.resolution.rawValue) / Double(1 << calibration.resolution.rawValue)
    return calibration.gain * steps / Double(Int16(bitPattern: words[AuxiliaryIndex.gain]))
  }

  /// Pixels of this sub-page that hold 0x7FFF.
  package var unmeasuredPixelCount: Int {
    var count = 0
    for index in 0..<MLX90640Geometry.pixelCount where words[index] == Self.unmeasured {
      if control.pattern.subPage(ofPixel: index) == number { count += 1 }
    }
    return count
  }
}
