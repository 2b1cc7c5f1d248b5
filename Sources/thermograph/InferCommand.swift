import ArgumentParser
import FoundationEssentials
import Inference
import LocalFiles
import Provenance

struct InferCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "infer",
    abstract: "Runs an int8 .tflite model on NumPy arrays.",
    discussion: """
      Inputs and outputs are .npy files of raw int8 (or float32, quantised at the border) tensors whose first axis \
      counts samples. Several inputs or outputs: repeat the option in the model's order.

        thermograph infer --model net.tflite --input x.npy --output y.npy
        thermograph infer --model net.tflite --input x.npy --output y.npy --runs 200 --json
        thermograph infer --model net.tflite --input x.npy --runs 200 --profile
        thermograph infer --model net.tflite --describe
        thermograph infer --list-kernels
      """)

  @Option(help: ArgumentHelp("The model.", valueName: "file.tflite"))
  var model: String?

  @Option(help: ArgumentHelp("An input array; one for each model input.", valueName: "in.npy"))
  var input: [String] = []

  @Option(help: ArgumentHelp("Where an output array goes; one for each model output.", valueName: "out.npy"))
  var output: [String] = []

  @Option(
    parsing: .unconditional,
    help: "Passes over all samples to time; with --describe also loads, timed on standard error.")
  var runs: Int?

  @Option(help: "Kernels to run: reference, auto, or a name that --list-kernels shows.")
  var kernels = "auto"

  @Flag(help: "Run every operator as a step of its own, as the file has them.")
  var noFusion = false

  @Flag(help: "List the kernel sets of this processor.")
  var listKernels = false

  @Flag(help: "Print the graph, the steps, the arena's bytes and the multiply-accumulates.")
  var describe = false

  @Flag(help: "With --runs: also time every step alone, on the first sample.")
  var profile = false

  @Flag(help: "Print one JSON object on standard output.")
  var json = false

  func validate() throws {
    if let runs, !(1...1_000_000).contains(runs) {
      throw ValidationError("--runs \(runs): expected 1 to 1000000.")
    }
    if profile && (runs == nil || input.isEmpty) {
      throw ValidationError("--profile needs --input and --runs.")
    }
    if model == nil && !listKernels {
      throw ValidationError("Missing --model; --list-kernels alone works without one.")
    }
    if model != nil && !describe && !listKernels && input.isEmpty {
      throw ValidationError("Missing --input, one .npy file for each model input.")
    }
  }

  func run() throws {
    if listKernels {
      try printKernels()
    }
    guard let path = model else { return }
    let bytes = try BoundedFile.read(path, maximumBytes: Model.Limits().fileBytes)
    let residentBefore = try residentBytes()
    let model = try named(path) { try Model(bytes: bytes) }
    let interpreter = try Interpreter(
      model: model, kernels: KernelChoice(kernels), fusesOperators: !noFusion)
    if describe {
      let resident: (own: Int, files: Int)?
      if runs != nil {
        InvocationBuffers(interpreter).invoke(interpreter)
        resident = try residentBytes()
      } else {
        resident = nil
      }
      let description = ModelDescription(model: model, interpreter: interpreter)
      print(json ? try encode(description) : description.text)
      if let runs, let resident {
        let load = try measureLoad(bytes, runs: runs)
        printToStandardError(
          "load (parse, validate, plan, pack): median \(load.median) us, minimum \(load.minimum) us; "
            + "resident growth with the first invocation \(resident.own - residentBefore.own) bytes, "
            + "and \(resident.files - residentBefore.files) of code")
      }
    }
    if !input.isEmpty {
      try infer(model, interpreter)
    }
  }

  private func printKernels() throws {
    let levels = KernelChoice.levels
    if json {
      print(try encode(levels))
      return
    }
    for level in levels where level.isAvailable {
      print(level.name)
    }
    let missing = levels.filter { !$0.isAvailable }.map(\.name)
    if !missing.isEmpty {
      printToStandardError("not on this processor: \(missing.joined(separator: ", "))")
    }
  }

  private func infer(_ model: Model, _ interpreter: Interpreter) throws {
    guard output.isEmpty || output.count == model.outputs.count else {
      throw ValidationError("\(output.count) --output files for a model of \(model.outputs.count) outputs.")
    }
    let arrays = try input.map { path in
      let file = try BoundedFile.read(path, maximumBytes: Self.arrayBytesMax)
      return try named(path) { try NumPyArray(file: file) }
    }
    let batch = try SampleBatch(arrays, for: model)
    let results = (0..<batch.count).map { interpreter.invoke(batch.sample($0)) }
    let outputs = batch.collect(results)
    for (path, array) in zip(output, outputs) {
      try write(array.file, to: path)
    }
    let timing = batch.count > 0 ? runs.map { measure(interpreter, batch, runs: $0) } : nil
    let steps = profile && batch.count > 0 ? runs.map { measureSteps(interpreter, batch.sample(0), runs: $0) } : nil
    if json {
      let entries = model.outputs.indices.map { index in
        InferReport.Output(
          name: model.outputs[index].name, path: output.isEmpty ? nil : output[index], shape: outputs[index].shape,
          type: model.outputs[index].type.name, scale: model.outputs[index].scale,
          zeroPoint: model.outputs[index].zeroPoint)
      }
      print(
        try encode(
          InferReport(
            medianMicroseconds: timing?.median, minimumMicroseconds: timing?.minimum, runs: timing == nil ? nil : runs,
            samples: batch.count, kernels: interpreter.kernels, outputs: entries, steps: steps)))
    } else if let timing {
      print("median \(timing.median) us, minimum \(timing.minimum) us a sample (\(interpreter.kernels))")
      for step in steps ?? [] {
        print("  \(step.medianMicroseconds) us  \(step.label)")
      }
    }
  }

  /// Median microseconds of every step alone, its inputs as they are when its turn comes.
  private func measureSteps(_ interpreter: Interpreter, _ sample: [[UInt8]], runs: Int) -> [InferReport.Step] {
    let buffers = InvocationBuffers(interpreter)
    buffers.fill(sample)
    let clock = ContinuousClock()
    let entries = interpreter.stepEntries
    var times = [[Double]](repeating: [], count: entries.count)
    for _ in 0..<runs {
      buffers.invoke(interpreter)
      for index in entries.indices {
        let elapsed = clock.measure { interpreter.runStep(index) }
        times[index].append(Double(elapsed.components.attoseconds) / 1e12)
      }
    }
    return zip(entries, times).map { entry, values in
      InferReport.Step(
        label: entry.label, operators: entry.operators,
        medianMicroseconds: (values.sorted()[runs / 2] * 1000).rounded() / 1000)
    }
  }

  /// Microseconds a sample over `runs` passes: the interpreter alone, its buffers already in place.
  private func measure(
    _ interpreter: Interpreter, _ batch: SampleBatch, runs: Int
  ) -> (median: Double, minimum: Double) {
    let buffers = InvocationBuffers(interpreter)
    let samples = (0..<batch.count).map(batch.sample)
    let clock = ContinuousClock()
    var microseconds: [Double] = []
    microseconds.reserveCapacity(runs)
    for _ in 0..<runs {
      var total = Duration.zero
      for sample in samples {
        buffers.fill(sample)
        total += clock.measure { buffers.invoke(interpreter) }
      }
      let parts = total.components
      microseconds.append(
        (Double(parts.seconds) * 1e6 + Double(parts.attoseconds) / 1e12) / Double(samples.count))
    }
    microseconds.sort()
    let median = (microseconds[(runs - 1) / 2] + microseconds[runs / 2]) / 2
    func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
    return (rounded(median), rounded(microseconds[0]))
  }

  /// Microseconds from the file's bytes to an interpreter that is ready.
  private func measureLoad(_ bytes: [UInt8], runs: Int) throws -> (median: Double, minimum: Double) {
    let clock = ContinuousClock()
    var microseconds: [Double] = []
    for _ in 0..<runs {
      let elapsed = try clock.measure {
        _ = try Interpreter(
          model: Model(bytes: bytes), kernels: KernelChoice(kernels), fusesOperators: !noFusion)
      }
      microseconds.append(Double(elapsed.components.attoseconds) / 1e12 + Double(elapsed.components.seconds) * 1e6)
    }
    microseconds.sort()
    return (microseconds[runs / 2].rounded(), microseconds[0].rounded())
  }

  /// This process's resident memory, from `/proc/self/status`: its own pages, and those of files (its code) read so far.
  private func residentBytes() throws -> (own: Int, files: Int) {
    let text = String(decoding: try BoundedFile.readStream("/proc/self/status", maximumBytes: 1 << 16), as: UTF8.self)
    func kibibytes(_ name: String) -> Int {
      let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
      return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0
    }
    return (kibibytes("RssAnon:") << 10, kibibytes("RssFile:") << 10)
  }

  /// Far above any thermogram series; a larger file is a mistake.
  private static let arrayBytesMax = 512 << 20

  /// In place: an output may be a pipe or a device.
  private func write(_ bytes: [UInt8], to path: String) throws {
    do {
      try Data(bytes).write(to: URL(filePath: path))
    } catch {
      throw FileError(
        path: path, reason: "cannot be written; check that its folder exists, may be written and has room")
    }
  }

  /// Errors of a file's content name the file.
  private func named<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch let error as any CustomStringConvertible & Error {
      throw InferFailure(description: "\(path): \(error)")
    }
  }

  private func encode(_ value: some Encodable) throws -> String {
    try CanonicalJSON.indentedText(of: value)
  }
}

private struct InferFailure: Error, CustomStringConvertible {
  let description: String
}

/// What `--json` prints after an inference.
private struct InferReport: Encodable {
  struct Output: Encodable {
    let name: String
    let path: String?
    let shape: [Int]
    let type: String
    let scale: Float
    let zeroPoint: Int

    private enum CodingKeys: String, CodingKey {
      case name, path, shape, type, scale
      case zeroPoint = "zero_point"
    }
  }

  struct Step: Encodable {
    let label: String
    let operators: [Int]
    let medianMicroseconds: Double

    private enum CodingKeys: String, CodingKey {
      case label, operators
      case medianMicroseconds = "median_us"
    }
  }

  let medianMicroseconds: Double?
  let minimumMicroseconds: Double?
  let runs: Int?
  let samples: Int
  let kernels: String
  let outputs: [Output]
  let steps: [Step]?

  private enum CodingKeys: String, CodingKey {
    case runs, samples, kernels, outputs, steps
    case medianMicroseconds = "median_us"
    case minimumMicroseconds = "min_us"
  }
}
