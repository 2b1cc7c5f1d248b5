import Glibc
import Thermography

/// The camera's maths: raw words to temperatures against a scalar evaluation in the vendor's structure.
enum CameraBenchmarks {
  static func suite() throws -> BenchmarkSuite {
    let eeprom = try sensor("eeprom.txt") { try WordFile.eeprom($0, name: $1) }
    let frames = try ["frame-0.txt", "frame-1.txt"].map { file in
      try sensor(file) { try WordFile.frame($0, name: $1) }
    }
    let calibration = Calibration(eeprom)
    let converter = TemperatureConverter(calibration)
    let peer = VendorStructuredTemperatures(calibration)
    func convert(_ frame: SubPage, _ image: inout TemperatureImage) {
      let point = OperatingPoint(calibration: calibration, subPage: frame)
      converter.convert(frame, at: point, emissivity: 0.98, into: &image)
    }
    return BenchmarkSuite(
      name: "MLX90640 temperatures",
      benchmarks: [
        Benchmark(name: "peer: scalar double, both sub-pages", unit: "pixel", unitsPerRun: 768) { times in
          var image = [Double](repeating: 0, count: 768)
          for _ in 0..<times { for frame in frames { peer.convert(frame, emissivity: 0.98, into: &image) } }
          return image[100]
        },
        Benchmark(
          name: "both sub-pages", unit: "pixel", unitsPerRun: 768, peer: "peer: scalar double, both sub-pages"
        ) { times in
          var image = TemperatureImage()
          for _ in 0..<times { for frame in frames { convert(frame, &image) } }
          return Double(image.celsius[100])
        },
        Benchmark(name: "image only (Ta and Vdd known)", unit: "pixel", unitsPerRun: 768) { times in
          var image = TemperatureImage()
          let points = frames.map { OperatingPoint(calibration: calibration, subPage: $0) }
          for _ in 0..<times {
            for index in 0..<2 { converter.convert(frames[index], at: points[index], emissivity: 0.98, into: &image) }
          }
          return Double(image.celsius[100])
        },
        Benchmark(name: "reference (double, definition of right)", unit: "pixel", unitsPerRun: 384) { times in
          var sum = 0.0
          for _ in 0..<times {
            let point = OperatingPoint(calibration: calibration, subPage: frames[0])
            let reference = ReferenceTemperatures(calibration: calibration, point: point, emissivity: 0.98)
            sum += reference.image(frames[0])[100] ?? 0
          }
          return sum
        },
        Benchmark(name: "EEPROM to calibration and converter", unit: "pixel", unitsPerRun: 768) { times in
          var sum = 0.0
          for _ in 0..<times { sum += TemperatureConverter(Calibration(eeprom)).calibration.alpha[5] }
          return sum
        },
        Benchmark(name: "capture of 64 averaged frames", unit: "pixel", unitsPerRun: 64 * 768) { times in
          var sum = 0.0
          for _ in 0..<times { sum += Double(capture(frames, calibration, converter)) }
          return sum
        },
      ])
  }

  /// All that a camera does with 64 frames but the bus: filter, convert, motion, health, average.
  private static func capture(
    _ frames: [SubPage], _ calibration: Calibration, _ converter: TemperatureConverter
  ) -> Float {
    var pipeline = CapturePipeline(converter: converter, defects: DefectivePixels())
    pipeline.begin(CaptureRequest(frames: 64))
    var result: Float = 0
    for _ in 0..<64 {
      for frame in frames {
        _ = pipeline.add(frame, refreshRate: .hertz16, nowMicroseconds: 0)
        if let thermogram = pipeline.takeThermogram() { result = thermogram.celsius[100] }
      }
    }
    return result
  }

  static func sensor<Words>(_ file: String, _ parse: ([UInt8], String) throws -> Words) throws -> Words {
    let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let path = "/\(folder)/Hardware/sensors/melexis-example/\(file)"
    guard let stream = fopen(path, "r") else { throw MissingFile(path: path) }
    defer { fclose(stream) }
    var bytes = [UInt8](repeating: 0, count: WordFile.maximumBytes)
    let count = fread(&bytes, 1, bytes.count, stream)
    return try parse(Array(bytes.prefix(count)), path)
  }

  struct MissingFile: Error { var path: String }
}
