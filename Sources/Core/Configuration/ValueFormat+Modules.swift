import Forwarding
import Panel
import Thermography

// Values that the settings hold as the type that acts, read once: here.

extension ValueFormat {
  /// A text that stands for something; `make` makes of it what `text` writes again.
  private static func text(
    _ form: TextForm, as make: @escaping @Sendable (String) -> Value?, text: @escaping @Sendable (Value) -> String
  ) -> Self {
    let shape = ValueShape.text(form)
    return Self(
      shape: shape,
      parse: { (value) throws(Mismatch) in
        guard case .string(let text) = value.content, form.accepts(text), let made = make(text) else {
          throw mismatch(value, shape)
        }
        return made
      },
      json: { .string(text($0)) })
  }
}

extension ValueFormat<[UInt8]> {
  static var affix: Self { text(.affix, as: { Array($0.utf8) }, text: { String(decoding: $0, as: UTF8.self) }) }
}

extension ValueFormat<PanelPattern> {
  static var panelPattern: Self { text(.panelPattern, as: { PanelPattern($0) }, text: { $0.text }) }
}

extension ValueFormat<SyncWindow> {
  static var timeWindow: Self {
    let format = text(.timeWindow, as: { SyncWindow($0) }, text: { $0.text })
    return Self(
      shape: format.shape,
      parse: { (value) throws(Mismatch) in
        if case .string(let text) = value.content, let (start, end) = SyncWindow.minutes(of: text), start == end {
          throw Mismatch(
            what: "\(text) has no length", expected: "two different times, or no sync_window for always")
        }
        return try format.parse(value)
      },
      json: format.json)
  }
}

extension ValueFormat<RefreshRate> {
  static var refreshRate: Self {
    oneOf([.hertz1, .hertz2, .hertz4, .hertz8, .hertz16, .hertz32]) { Int($0.subPagesPerSecond) }
  }
}

extension ValueFormat<Int> {
  /// Seconds in files, milliseconds in the settings.
  static func seconds(_ range: ClosedRange<Int>) -> Self {
    let seconds = integer(range)
    return Self(
      shape: seconds.shape, parse: { (value) throws(Mismatch) in try seconds.parse(value) * 1000 },
      json: { seconds.json($0 / 1000) })
  }
}
