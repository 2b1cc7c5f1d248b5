import Inference

/// The higher-order SVD classifier: each class is spanned by a few directions in the space of a network's features, and
/// a capture goes to the class whose subspace leaves the smaller residual (Savas and Elden 2007). All in integers.
package struct SubspaceClassifier: Sendable, Equatable {
  package static let partsPerUnit = 1_000_000

  /// The network's output that gives the features.
  package let output: Int
  package let labels: [String]
  private let unit: Int
  private let zeroPoint: Int
  /// [class][direction][feature].
  private let bases: [[[Int]]]

  /// - Parameters:
  ///   - bases: int32 [classes, directions, features], orthonormal within a class when divided by the unit.
  ///   - features: the output's tensor.
  package init(
    _ subspaces: ModelManifest.Subspaces, bases array: NumPyArray, features: ModelManifest.Tensor
  ) throws(ModelManifestError) {
    let count = features.shape.reduce(1, *)
    guard array.element == .int32, array.shape.count == 3, array.shape[0] == subspaces.labels.count,
      (1...64).contains(array.shape[1]), array.shape[2] == count
    else {
      throw ModelManifestError(
        field: "subspaces.bases", found: "\(array.element) \(array.shape)",
        expected: "int32 [\(subspaces.labels.count), 1...64, \(count)]")
    }
    let values = (0..<array.elementCount).map { index in
      Int(Int32(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(array.bytes[index * 4 + $1]) << UInt32(8 * $1) }))
    }
    guard values.allSatisfy({ abs($0) <= subspaces.unit }) else {
      throw ModelManifestError(
        field: "subspaces.bases", found: "a magnitude above \(subspaces.unit)", expected: "entries of unit vectors")
    }
    output = subspaces.output
    labels = subspaces.labels
    unit = subspaces.unit
    zeroPoint = features.zeroPoint
    bases = (0..<array.shape[0]).map { group in
      (0..<array.shape[1]).map { direction in
        let start = (group * array.shape[1] + direction) * count
        return Array(values[start..<start + count])
      }
    }
  }

  /// For each class the share of the features' energy outside its subspace, parts per million.
  /// - Precondition: as many features as the bases have.
  package func residuals(of features: [Int8]) -> [Int] {
    let centred = features.map { Int($0) - zeroPoint }
    let energy = max(centred.reduce(0) { $0 + $1 * $1 }, 1)
    return bases.map { directions in
      let inside = directions.reduce(0) { sum, direction in
        precondition(direction.count == centred.count)
        let projection = zip(direction, centred).reduce(0) { $0 + $1.0 * $1.1 }
        return sum + projection * projection
      }
      let share = ChainArithmetic.rounded(inside, dividedBy: unit * unit)
      return Self.partsPerUnit - ChainArithmetic.rounded(share * Self.partsPerUnit, dividedBy: energy)
    }
  }

  /// The index of the class with the smallest residual; the first of equals.
  package func label(of features: [Int8]) -> Int {
    let residuals = residuals(of: features)
    return residuals.indices.min { residuals[$0] < residuals[$1] } ?? 0
  }
}
