"""Molecules: SMILES to graphs of atoms and bonds, scaffolds and fingerprints, by rdkit (an extra)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from tutti.core import InputError
from tutti.data._graphs import Graph

ATOM = ("element", "degree", "charge", "hydrogens", "hybridisation", "aromatic", "ring", "chirality", "radicals")
BOND = ("type", "conjugated", "ring", "stereo")
RADIUS, BITS = 2, 1024  # of the Morgan fingerprint


def _chem() -> Any:
    try:
        from rdkit import Chem, RDLogger
    except ImportError as error:
        raise InputError("Molecules need rdkit.", fix='Install it: pip install "tutti[molecules]".') from error
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]  # made at run time; its warnings go to the terminal; what matters is said in our findings
    return Chem


def parse_smiles(smiles: Sequence[str | None]) -> tuple[list[Any], list[int]]:
    """Molecules, and the rows that are none: not parsed, missing, or without an atom."""
    chem = _chem()
    molecules = [chem.MolFromSmiles(text) if text and text.strip() else None for text in smiles]
    bad = [row for row, molecule in enumerate(molecules) if molecule is None or molecule.GetNumAtoms() == 0]
    return molecules, bad


def graph_of(molecule: Any) -> Graph:
    """Atoms and bonds (each in both directions) with the marks ATOM and BOND, after OGB's and DGL-LifeSci's features:
    element as atomic number, neighbours (hydrogens not drawn do not count), formal charge, hydrogens, hybridisation,
    whether aromatic, whether in a ring, chirality, radical electrons; bond type, whether conjugated, whether in a
    ring, stereo. Hydrogens are nodes only where the SMILES draws them in brackets of their own."""
    atoms = [
        (
            atom.GetAtomicNum(), atom.GetDegree(), atom.GetFormalCharge(), atom.GetTotalNumHs(),
            int(atom.GetHybridization()), int(atom.GetIsAromatic()), int(atom.IsInRing()), int(atom.GetChiralTag()),
            atom.GetNumRadicalElectrons(),
        )
        for atom in molecule.GetAtoms()
    ]  # fmt: skip
    ends, bonds = [], []
    for bond in molecule.GetBonds():
        a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        told = (int(bond.GetBondType()), int(bond.GetIsConjugated()), int(bond.IsInRing()), int(bond.GetStereo()))
        ends += [(a, b), (b, a)]
        bonds += [told, told]
    return Graph(
        numbers=np.zeros((len(atoms), 0), np.float32),
        marks=np.array(atoms, dtype=np.int64).reshape(-1, len(ATOM)),
        edges=np.array(ends, dtype=np.int64).reshape(-1, 2).T,
        edge_numbers=np.zeros((len(ends), 0), np.float32),
        edge_marks=np.array(bonds, dtype=np.int64).reshape(-1, len(BOND)),
    )


def element(number: int) -> str:
    """The symbol of an atomic number."""
    return str(_chem().GetPeriodicTable().GetElementSymbol(number)) if number > 0 else "*"


def scaffold(molecule: Any) -> str:
    """The rings and what links them (Bemis & Murcko 1996), as SMILES; without a ring the skeleton.

    Molecules without a ring have no scaffold in common: as one group they are a third of a usual collection. Theirs
    are kept together by the skeleton, all of whose atoms count as carbon and all bonds as single, as in the paper's
    graph frameworks: propanal and chloropropane are "CCCC", 2-propanol "CC(C)C".
    """
    from rdkit.Chem.Scaffolds import MurckoScaffold

    rings = MurckoScaffold.MurckoScaffoldSmiles(mol=molecule, includeChirality=False)  # type: ignore[no-untyped-call]
    return str(rings) or _skeleton(molecule)


def _skeleton(molecule: Any) -> str:
    """Which atom is bound to which, drawn in carbon; not checked for valence, as sulfur may have six neighbours."""
    chem = _chem()
    drawn = chem.RWMol()
    for _ in molecule.GetAtoms():
        drawn.AddAtom(chem.Atom("C"))
    for bond in molecule.GetBonds():
        drawn.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), chem.BondType.SINGLE)
    return str(chem.MolToSmiles(drawn))


def fingerprints(molecules: Sequence[Any]) -> UInt8[np.ndarray, "rows bit"]:
    """Counts of the Morgan fingerprint (Rogers & Hahn 2010) of radius 2, folded to 1,024 places."""
    from rdkit.Chem import rdFingerprintGenerator

    make = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    rows = [make.GetCountFingerprintAsNumPy(molecule) for molecule in molecules]
    return np.stack(rows).clip(max=255).astype(np.uint8) if rows else np.zeros((0, BITS), np.uint8)
