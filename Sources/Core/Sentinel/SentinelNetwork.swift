import Inference
import Screening

/// The network over windows of counters, ready to run. Made once; a window allocates nothing. Not for two threads at once.
package final class SentinelNetwork {
  package let manifest: ModelManifest
  package let decision: WatchDecision
  private let encoding: WindowEncoding
  private let missing: [Int8]
  private let interpreter: Interpreter
  private let buffers: InvocationBuffers
  /// The encoded window, kept while groups of it are left out.
  private let kept: UnsafeMutableBufferPointer<Int8>

  /// - Parameters:
  ///   - manifest: of purpose `sentinel`.
  ///   - modelFile: its network, whose SHA-256 the caller has compared.
  /// - Throws: what of the model does not fit this device.
  package init(
    manifest: ModelManifest, modelFile: [UInt8], kernels: KernelChoice = .automatic
  ) throws(ScreeningError) {
    func refuse(_ reason: String) -> ScreeningError { .model(id: manifest.id, reason: reason) }
    guard manifest.purpose == .sentinel, let channels = manifest.input.channels else {
      throw refuse("is for \(manifest.purpose.rawValue); expected a sentinel over windows")
    }
    guard let decision = manifest.watch else {
      throw refuse("its manifest has no decision, so that nobody knows when it should speak; expected a rule")
    }
    guard manifest.input.tensor.shape == [CounterWindow.steps, CounterChannel.count],
      channels.map(\.name) == CounterChannel.allCases.map(\.name)
    else {
      throw refuse(
        "is for other channels than this device counts; expected \(CounterWindow.steps) steps of "
          + CounterChannel.allCases.map(\.name).joined(separator: ", "))
    }
    var missing: [Int8] = []
    for channel in channels {
      guard let value = channel.missing else {
        throw refuse("does not say what a missing \(channel.name) is; expected 'missing' in its channel")
      }
      missing.append(value)
    }
    self.manifest = manifest
    self.decision = decision
    self.missing = missing
    encoding = WindowEncoding(channels: channels)
    interpreter = try manifest.interpreter(modelFile: modelFile, kernels: kernels)
    buffers = InvocationBuffers(interpreter)
    kept = .allocate(capacity: CounterWindow.steps * CounterChannel.count)
    kept.initialize(repeating: 0)
  }

  deinit { kept.deallocate() }

  /// - Precondition: the window is full.
  package func judge(_ window: borrowing CounterWindow) -> SentinelMachine.Judgement {
    encode(window)
    return run()
  }

  /// What the network is given of a window, for tests.
  package func encoded(_ window: borrowing CounterWindow) -> [Int8] {
    encode(window)
    return Array(kept)
  }

  private func encode(_ window: borrowing CounterWindow) {
    precondition(window.isFull)
    encoding.encode(into: kept) { step, channel in window.value(step, channel) }
  }

  /// Which groups of channels spoke for an anomaly of the window judged last: those without which the log-odds of normal rise
  /// by at least half of what they rise without the strongest. Runs the network once for each group.
  ///
  /// - Parameter ofHealth: of the sensing's head; else of the attack's.
  package func groups(ofHealth: Bool) -> [CounterGroup] {
    func odds(_ judgement: SentinelMachine.Judgement) -> Int {
      Evidence.logOddsQ8(ofNormal: ofHealth ? judgement.healthNormal : judgement.cyberNormal)
    }
    let whole = odds(run())
    let drops = CounterGroup.allCases.map { group in
      (group: group, drop: whole - odds(run(without: CounterChannel.allCases.filter { $0.group == group })))
    }
    let most = drops.map(\.drop).max() ?? 0
    guard most > 0 else { return [] }
    return drops.filter { $0.drop * 2 >= most }.map(\.group)
  }

  /// The same for single channels of groups that spoke, in their order.
  package func channels(ofHealth: Bool, in groups: [CounterGroup]) -> [CounterChannel] {
    func odds(_ judgement: SentinelMachine.Judgement) -> Int {
      Evidence.logOddsQ8(ofNormal: ofHealth ? judgement.healthNormal : judgement.cyberNormal)
    }
    let whole = odds(run())
    let drops = CounterChannel.allCases.filter { groups.contains($0.group) }.map { channel in
      (channel: channel, drop: whole - odds(run(without: [channel])))
    }
    let most = drops.map(\.drop).max() ?? 0
    guard most > 0 else { return [] }
    return drops.filter { $0.drop * 2 >= most }.map(\.channel)
  }

  /// - Parameter channels: that are missing.
  private func run(without channels: [CounterChannel] = []) -> SentinelMachine.Judgement {
    buffers.withInput(0) { bytes in
      bytes.copyMemory(from: UnsafeRawBufferPointer(kept))
      for channel in channels {
        for step in 0..<CounterWindow.steps {
          bytes[step * CounterChannel.count + channel.rawValue] = UInt8(bitPattern: missing[channel.rawValue])
        }
      }
    }
    buffers.invoke(interpreter)
    return .init(healthNormal: normal(decision.health), cyberNormal: normal(decision.cyber))
  }

  /// P(normal) of a head in parts per million.
  private func normal(_ head: WatchDecision.Head) -> Int {
    let raw = Int8(bitPattern: buffers.output(head.output)[head.element])
    return head.calibration.partsPerMillion[Int(raw) + 128]
  }
}
