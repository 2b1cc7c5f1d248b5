import CInferenceKernels

/// Any unary int8 operator.
final class TableStep: Step {
  private let level: tgk_level
  private let table: UnsafeMutablePointer<Int8>
  private let count: Int
  private let input: UnsafePointer<Int8>
  private let output: UnsafeMutablePointer<Int8>

  init(_ entries: [Int8], count: Int, site: StepSite) {
    level = site.level
    table = .allocate(capacity: 256)
    table.initialize(from: entries, count: 256)
    self.count = count
    input = site.input(0)
    output = site.output
    super.init(operatorIndices: site.node.operatorIndices, label: site.label)
  }

  deinit {
    table.deallocate()
  }

  override func run() {
    tgk_table(level, table, input, output, count)
  }
}

/// ADD, SUB or MUL of a whole tensor and one that is whole too, or repeats with a period.
final class PairStep: Step {
  private enum Parameters {
    case sum(Boxed<tgk_add_parameters>)
    case product(Boxed<tgk_multiply_parameters>)
  }

  private let level: tgk_level
  private let parameters: Parameters
  private let a: UnsafePointer<Int8>
  private let b: UnsafePointer<Int8>
  private let period: Int
  private let count: Int
  private let output: UnsafeMutablePointer<Int8>

  /// nil when the operands repeat in a way the kernels do not know.
  init?(_ operation: Operation, site: StepSite) {
    let broadcast: Broadcast
    switch operation {
    case .sum(let p): broadcast = p.broadcast
    case .product(let p): broadcast = p.broadcast
    default: return nil
    }
    let periods = broadcast.strides.map { broadcast.period(of: $0) }
    count = broadcast.count
    guard let first = periods.firstIndex(of: count), let period = periods[1 - first] else { return nil }
    self.period = period
    switch operation {
    case .sum(let p): parameters = .sum(Boxed(tgk_add_parameters(p, first: first)))
    case .product(let p): parameters = .product(Boxed(tgk_multiply_parameters(p, first: first)))
    default: return nil
    }
    level = site.level
    a = site.input(first)
    b = site.input(1 - first)
    output = site.output
    super.init(operatorIndices: site.node.operatorIndices, label: site.label)
  }

  override func run() {
    switch parameters {
    case .sum(let block): tgk_add(level, block.pointer, a, b, period, output, count)
    case .product(let block): tgk_multiply(level, block.pointer, a, b, period, output, count)
    }
  }
}

/// QUANTIZE from float32.
final class QuantizeStep: Step {
  private let level: tgk_level
  private let scale: Float
  private let zeroPoint: Int32
  private let count: Int
  private let input: UnsafePointer<Float>
  private let output: UnsafeMutablePointer<Int8>

  init(scale: Float, zeroPoint: Int32, count: Int, site: StepSite) {
    level = site.level
    self.scale = scale
    self.zeroPoint = zeroPoint
    self.count = count
    input = site.memory.source(site.node.inputs[0]).assumingMemoryBound(to: Float.self)
    output = site.output
    super.init(operatorIndices: site.node.operatorIndices, label: site.label)
  }

  override func run() {
    tgk_quantize(level, scale, zeroPoint, input, output, count)
  }
}

final class DequantizeStep: Step {
  private let level: tgk_level
  private let scale: Float
  private let zeroPoint: Int32
  private let count: Int
  private let input: UnsafePointer<Int8>
  private let output: UnsafeMutablePointer<Float>

  init(scale: Float, zeroPoint: Int32, count: Int, site: StepSite) {
    level = site.level
    self.scale = scale
    self.zeroPoint = zeroPoint
    self.count = count
    input = site.input(0)
    output = site.memory.target(site.node.output).assumingMemoryBound(to: Float.self)
    super.init(operatorIndices: site.node.operatorIndices, label: site.label)
  }

  override func run() {
    tgk_dequantize(level, scale, zeroPoint, input, output, count)
  }
}

/// An optional fill, then boxes.
final class MoveStep: Step {
  private struct Copy {
    var box: tgk_copy_box
    var source: UnsafeRawPointer
    var destination: UnsafeMutableRawPointer
  }

  private let copies: UnsafeMutableBufferPointer<Copy>
  private let fill: Int8?
  private let count: Int
  private let output: UnsafeMutablePointer<Int8>

  init(_ p: Move, site: StepSite) {
    fill = p.fill
    count = p.outputCount
    output = site.output
    copies = .allocate(capacity: p.boxes.count)
    let target = site.memory.target(site.node.output)
    for (index, box) in p.boxes.enumerated() {
      copies.initializeElement(
        at: index,
        to: Copy(
          box: tgk_copy_box(box, elementSize: p.elementSize),
          source: site.memory.source(site.node.inputs[box.input]) + box.sourceOffset * p.elementSize,
          destination: target + box.destinationOffset * p.elementSize))
    }
    super.init(operatorIndices: site.node.operatorIndices, label: site.label)
  }

  deinit {
    copies.deallocate()
  }

  override func run() {
    if let fill {
      tgk_fill(fill, output, count)
    }
    for index in copies.indices {
      withUnsafePointer(to: &copies[index].box) {
        tgk_copy($0, copies[index].source, copies[index].destination)
      }
    }
  }
}
