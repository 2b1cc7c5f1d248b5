import Glibc
import Inference
import Screening
import Thermography

/// What a capture costs after its last sub-page.
enum VerdictBenchmarks {
  static func suite() throws -> BenchmarkSuite {
    let eeprom = try CameraBenchmarks.sensor("eeprom.txt") { try WordFile.eeprom($0, name: $1) }
    let frames = try ["frame-0.txt", "frame-1.txt"].map { file in
      try CameraBenchmarks.sensor(file) { try WordFile.frame($0, name: $1) }
    }
    let network = try screeningNetwork("Models/screening-fold")
    let assessor = Assessor(network: network)
    let torso = try thermogram("Models/screening-fold/golden/frames.npy")
    guard assessor.assess(torso, conditions: conditions).verdict.probability != nil else {
      throw BenchmarkError(description: "the golden frame does not reach the network; its gates fail")
    }
    var pipeline = CapturePipeline(
      converter: TemperatureConverter(Calibration(eeprom)), defects: eeprom.defectivePixels)
    var time: UInt64 = 0
    return BenchmarkSuite(
      name: "A capture after its last sub-page",
      benchmarks: [
        // The recorded frames show no person, so the picture that is judged is one of the model's golden frames; both sub-pages of the last
        // frame are counted.
        Benchmark(name: "last sub-page to verdict", unit: "capture", unitsPerRun: 1, goalMilliseconds: 5) { times in
          var sum = 0.0
          for _ in 0..<times {
            pipeline.begin(CaptureRequest(frames: 1, motionLimitCelsius: 1000))
            for frame in frames {
              time += 62_500
              _ = pipeline.add(frame, refreshRate: .hertz16, nowMicroseconds: time)
            }
            sum += pipeline.takeThermogram()?.ambientCelsius ?? 0
            sum += assessor.assess(torso, conditions: conditions).verdict.probability ?? 0
          }
          return sum
        },
        Benchmark(name: "gates and verdict alone", unit: "capture", unitsPerRun: 1) { times in
          (0..<times).reduce(0.0) { sum, _ in
            sum + (assessor.assess(torso, conditions: conditions).verdict.probability ?? 0)
          }
        },
        Benchmark(name: "occlusion map (not part of the verdict)", unit: "map", unitsPerRun: 1) { times in
          var sum = 0.0
          for _ in 0..<times {
            do {
              sum += try network.occlusionMap(of: torso).peakChange
            } catch {
              return .nan
            }
          }
          return sum
        },
      ])
  }

  /// The comparison with earlier sessions, after the verdict and beside the session: the golden cases of its definition.
  static func changeSuite() throws -> BenchmarkSuite {
    let array = try NumPyArray(file: bytes("Models/training/change/golden/frames.npy"))
    func frame(_ number: Int, session: Int) throws -> ChangeFrame {
      let start = (number * 10 + session) * 768
      let celsius = array.bytes.withUnsafeBytes { bytes in
        (0..<768).map { bytes.loadUnaligned(fromByteOffset: 4 * (start + $0), as: Float.self) }
      }
      guard let frame = ChangeFrame(Thermogram(celsius: celsius, ambientCelsius: 30), camera: "a") else {
        throw BenchmarkError(description: "golden case \(number), session \(session): no body")
      }
      return frame
    }
    func benchmark(_ number: Int, sessions: Int, goal: Double?) throws -> Benchmark {
      let present = try frame(number, session: 9)
      let earlier = try (0..<sessions).map { try frame(number, session: $0) }
      var comparator = ChangeComparator()
      return Benchmark(
        name: "comparison with \(sessions) sessions", unit: "capture", unitsPerRun: 1, goalMilliseconds: goal
      ) { times in
        (0..<times).reduce(0.0) { sum, _ in
          guard case .compared(let found) = comparator.compare(present, with: earlier) else { return .nan }
          return sum + found.largest
        }
      }
    }
    return BenchmarkSuite(
      name: "Change against the patient's own sessions",
      benchmarks: [try benchmark(0, sessions: 3, goal: nil), try benchmark(4, sessions: 8, goal: 30)])
  }

  private static var conditions: AcquisitionConditions {
    var conditions = AcquisitionConditions()
    conditions.ambientCelsius = 22
    conditions.noiseCelsius = 0.05
    conditions.motionCelsius = 0.1
    conditions.deadPixels = 0
    conditions.clockSynchronised = true
    conditions.settling = false
    return conditions
  }

  /// The first of the frames.
  private static func thermogram(_ path: String) throws -> Thermogram {
    let array = try NumPyArray(file: bytes(path))
    let celsius = array.bytes.withUnsafeBytes { bytes in
      (0..<768).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
    return Thermogram(
      celsius: celsius, standardErrorCelsius: [Float](repeating: 0.05, count: 768),
      states: [PixelState](repeating: .measured, count: 768), ambientCelsius: 30, supplyVolts: 3.3, framesAveraged: 16,
      refreshRateHertz: 8, emissivity: 0.98, reflectedCelsius: 22, settling: false)
  }

  private static func screeningNetwork(_ folder: String) throws -> ScreeningNetwork {
    let manifest = try ModelManifest(json: bytes(folder + "/manifest.json"))
    return try ScreeningNetwork(manifest: manifest, modelFile: bytes(folder + "/" + manifest.model.path))
  }

  static func bytes(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "rb") else {
      throw BenchmarkError(description: "\(path): cannot be opened; run from the repository's root")
    }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 22)
    return Array(bytes[..<fread(&bytes, 1, bytes.count, file)])
  }
}

struct BenchmarkError: Error, CustomStringConvertible {
  let description: String
}
