/// What is wrong with a model's manifest, and where.
package struct ModelManifestError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The path of the key, such as `outputs[0].labels`.
  package let field: String
  package let found: String
  package let expected: String

  package init(field: String, found: String, expected: String) {
    self.field = field
    self.found = found
    self.expected = expected
  }

  init(_ error: DecodingError) {
    switch error {
    case .keyNotFound(let key, let context):
      self.init(field: Self.path(context.codingPath + [key]), found: "nothing", expected: "a value; add the key")
    case .typeMismatch(let type, let context):
      self.init(field: Self.path(context.codingPath), found: context.debugDescription, expected: "\(type)")
    case .valueNotFound(let type, let context):
      self.init(field: Self.path(context.codingPath), found: "null", expected: "\(type)")
    case .dataCorrupted(let context):
      self.init(
        field: Self.path(context.codingPath), found: context.debugDescription, expected: "a value of the format")
    @unknown default:
      self.init(field: "manifest.json", found: "\(error)", expected: "a manifest")
    }
  }

  private static func path(_ keys: [any CodingKey]) -> String {
    var text = ""
    for key in keys {
      if let index = key.intValue {
        text += "[\(index)]"
      } else {
        text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
      }
    }
    return text.isEmpty ? "manifest.json" : text
  }

  package var description: String { "model manifest: \(field): found \(found); expected \(expected)" }
}

extension ModelManifest {
  func validate() throws(ModelManifestError) {
    try require(Self.isIdentifier(id), "id", id, "1 to 36 of a-z, 0-9 and hyphen")
    try require((1...32).contains(version.utf8.count), "version", version, "1 to 32 characters")
    try require((16...400).contains(intendedUse.utf8.count), "intended_use", intendedUse, "a sentence")
    try require(!licence.isEmpty, "licence", licence, "an SPDX identifier")
    try require(!trainingData.id.isEmpty, "training_data.id", "", "the identity of the training data")
    try require(
      ["synthetic", "patients"].contains(trainingData.kind), "training_data.kind", trainingData.kind,
      "synthetic or patients")
    try require(
      status == .demonstration || trainingData.kind == "patients", "status", status.rawValue,
      "demonstration, because the training data is synthetic")
    try validateFiles()
    try validateTensors()
    try validateUse()
  }

  private func require(
    _ condition: Bool, _ field: String, _ found: String, _ expected: String
  ) throws(ModelManifestError) {
    guard condition else { throw ModelManifestError(field: field, found: found, expected: expected) }
  }

  /// Whether `text` may be a model's id, and so a folder's name.
  package static func isIdentifier(_ text: String) -> Bool {
    (1...36).contains(text.utf8.count)
      && text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
  }

  private func validateFiles() throws(ModelManifestError) {
    var files = [("model", model), ("golden.input", golden.input)]
    if let frames = golden.frames { files.append(("golden.frames", frames)) }
    if let counters = golden.counters { files.append(("golden.counters", counters)) }
    if let residuals = golden.residuals { files.append(("golden.residuals", residuals)) }
    if let subspaces { files.append(("subspaces.bases", subspaces.bases)) }
    for (index, file) in golden.outputs.enumerated() { files.append(("golden.outputs[\(index)]", file)) }
    for (field, file) in files {
      try require(Self.isPlainPath(file.path), "\(field).path", file.path, "a plain file name, or golden/ and one")
      try require((1...16_777_216).contains(file.bytes), "\(field).bytes", "\(file.bytes)", "1...16777216")
      let isDigest =
        file.sha256.utf8.count == 64
        && file.sha256.utf8.allSatisfy { (97...102).contains($0) || (48...57).contains($0) }
      try require(isDigest, "\(field).sha256", file.sha256, "64 lower-case hexadecimal digits")
    }
    try require(
      golden.outputs.count == outputs.count, "golden.outputs", "\(golden.outputs.count)", "\(outputs.count) files")
  }

  /// No path leaves the model's folder.
  static func isPlainPath(_ path: String) -> Bool {
    let name = path.hasPrefix("golden/") ? path.dropFirst(7) : path[...]
    return (1...64).contains(name.utf8.count) && !name.hasPrefix(".")
      && name.utf8.allSatisfy {
        (97...122).contains($0) || (48...57).contains($0) || $0 == 45 || $0 == 46 || $0 == 95
      }
  }

  private func validateTensors() throws(ModelManifestError) {
    try validate(input.tensor, field: "input.tensor")
    switch input.kind {
    case .thermogram:
      guard let chain = preprocessing else {
        throw ModelManifestError(field: "preprocessing", found: "nothing", expected: "a chain, for a thermogram")
      }
      try require(
        chain.outputShape == input.tensor.shape, "preprocessing", "output of shape \(chain.outputShape)",
        "the input tensor's \(input.tensor.shape)")
      try require(!(input.views ?? []).isEmpty, "input.views", "none", "at least one view")
      try require(golden.frames != nil, "golden.frames", "nothing", "a file, for a thermogram")
    case .window:
      try require(preprocessing == nil, "preprocessing", "a chain", "none, for a window")
      let channels = input.channels ?? []
      try require(
        input.tensor.shape.count == 2 && input.tensor.shape[1] == channels.count, "input.channels",
        "\(channels.count) channels", "one for each column of the tensor's \(input.tensor.shape)")
      for (index, channel) in channels.enumerated() {
        try require(
          abs(channel.gain) <= 1 << 20 && abs(channel.offset) <= 1 << 20, "input.channels[\(index)]",
          "gain \(channel.gain), offset \(channel.offset)", "magnitudes up to \(1 << 20)")
      }
    }
    try require((1...8).contains(outputs.count), "outputs", "\(outputs.count)", "1 to 8 outputs")
    for (index, output) in outputs.enumerated() {
      try validate(output.tensor, field: "outputs[\(index)].tensor")
      let elements = output.tensor.shape.reduce(1, *)
      try require(
        output.labels.count == elements, "outputs[\(index)].labels", "\(output.labels.count) labels",
        "\(elements), one for each element")
      try require(
        Set(output.labels).count == elements, "outputs[\(index)].labels", "a label twice", "different labels")
    }
  }

  private func validate(_ tensor: Tensor, field: String) throws(ModelManifestError) {
    let isShape = (1...4).contains(tensor.shape.count) && tensor.shape.allSatisfy { (1...4096).contains($0) }
    try require(isShape, "\(field).shape", "\(tensor.shape)", "1 to 4 axes of 1...4096")
    let elements = tensor.shape.reduce(1) { $0 &* $1 }
    try require((1...65536).contains(elements), "\(field).shape", "\(tensor.shape)", "at most 65536 elements")
    try require(
      tensor.scale.isFinite && tensor.scale > 0, "\(field).scale", "\(tensor.scale)", "a finite number above 0")
    try require(
      (-128...127).contains(tensor.zeroPoint), "\(field).zero_point", "\(tensor.zeroPoint)", "-128...127")
  }

  private func validateUse() throws(ModelManifestError) {
    if let subspaces {
      try require(
        outputs.indices.contains(subspaces.output), "subspaces.output", "\(subspaces.output)",
        "an index below \(outputs.count)")
      try require(
        (2...16).contains(subspaces.labels.count), "subspaces.labels", "\(subspaces.labels.count)", "2 to 16 classes")
      try require((1...32768).contains(subspaces.unit), "subspaces.unit", "\(subspaces.unit)", "1...32768")
      try require(golden.residuals != nil, "golden.residuals", "nothing", "a file, beside subspaces")
    }
    if let decision { try validate(decision) }
    if let watch {
      try require(purpose == .sentinel, "decision.rule", watch.rule.rawValue, "no rule over time, but for a sentinel")
      try watch.validate(outputs)
    }
    switch purpose {
    case .screening:
      try require(decision != nil, "decision", "nothing", "a decision, for a screening model")
    case .quality:
      guard let acceptance else {
        throw ModelManifestError(field: "acceptance", found: "nothing", expected: "acceptance, for a quality model")
      }
      try require(
        outputs.indices.contains(acceptance.output), "acceptance.output", "\(acceptance.output)",
        "an index below \(outputs.count)")
      let labels = outputs[acceptance.output].labels
      try require(!acceptance.accepted.isEmpty, "acceptance.accepted", "none", "at least one label")
      for label in acceptance.accepted {
        try require(labels.contains(label), "acceptance.accepted", label, "one of \(labels)")
      }
      try require((0...255).contains(acceptance.minimum), "acceptance.minimum", "\(acceptance.minimum)", "0...255")
      if let view = acceptance.view { try validate(view) }
    case .sentinel:
      try require(decision == nil, "decision", "a threshold of a score", "a rule over time, for a sentinel")
      try require(input.kind == .window, "input.kind", input.kind.rawValue, "window, for a sentinel")
    case .comparison:
      break
    }
  }

  /// Of any purpose: a model to be compared is run by its decision too.
  private func validate(_ decision: Decision) throws(ModelManifestError) {
    try require(
      outputs.indices.contains(decision.output), "decision.output", "\(decision.output)",
      "an index below \(outputs.count)")
    let elements = outputs[decision.output].labels.count
    try require(
      (0..<elements).contains(decision.element), "decision.element", "\(decision.element)",
      "an index below \(elements)")
    guard let population = decision.population else { return }
    try require(
      (8...300).contains(population.description.utf8.count), "decision.population.description",
      "\(population.description.utf8.count) bytes", "8 to 300: who the probability holds for")
    try require(
      (0...1).contains(population.prevalence), "decision.population.prevalence", "\(population.prevalence)",
      "the share of that population with the label, 0...1")
  }

  private func validate(_ view: Acceptance.View) throws(ModelManifestError) {
    try require(
      outputs.indices.contains(view.output), "acceptance.view.output", "\(view.output)",
      "an index below \(outputs.count)")
    for label in outputs[view.output].labels {
      try require(
        CaptureView(rawValue: label) != nil, "acceptance.view.output", label,
        "an output whose labels are \(CaptureView.allCases.map(\.rawValue))")
    }
    try require((0...255).contains(view.minimum), "acceptance.view.minimum", "\(view.minimum)", "0...255")
  }
}
