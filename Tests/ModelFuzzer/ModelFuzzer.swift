import Inference

/// libFuzzer's entry: any bytes either load, and then run once on every kernel set that would be chosen, or are refused
/// with a `ModelError`. Anything else (a trap, a hang, too much memory) is a finding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzModel(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  var limits = Model.Limits()
  // Small enough that one input stays far below a second even with the fuzzer's instrumentation.
  limits.work = 1 << 20
  do {
    let model = try Model(bytes: [UInt8](UnsafeBufferPointer(start: start, count: count)), limits: limits)
    let zeros = model.inputs.map { [UInt8](repeating: 0, count: $0.byteCount) }
    let fast = try Interpreter(model: model).invoke(zeros)
    let reference = try Interpreter(model: model, kernels: .reference).invoke(zeros)
    precondition(fast == reference, "the kernels disagree with the reference")
  } catch {
    // Refused: the error is typed, and its text must be makeable.
    _ = error.description
  }
  return 0
}
