"""s390x's instructions as a table: opcode, format, mnemonic, operands. Read by `reader`.

One line is one instruction. Legend:
  opcode   hex; two digits are the first byte, three the first byte and the second half of the second byte, four the
           first byte and that byte which the format has the rest in
  format   as in the manual; it says where the fields are (`FORMATS`)
  operands a letter for the kind of register, then the field's number; in front of it: > written, & written and read,
           ~ written in part (the rest stays: `Insn.merged`), nothing read
             g 64-bit register, w its low half (a write leaves the high half alone), p an even-odd pair, o the odd one
             of a pair, f float, q a pair of floats (128-bit float), v vector, r all registers from field 1 to field 3
           L, S, U with a size in bytes: the memory operand is loaded, stored, updated (m: the size is in mask M3)
           ! sets the condition code, ? depends on it, !5 and !6: sets it if bit 0 of mask M5, M6 is set
  Base and index registers follow from the format.

Here is what Cranelift emits on z14 to z17 (facilities MIE 2 to 4, VXRS 1 to 3), and what is next to it in the manual.
Source: z/Architecture Principles of Operation SA22-7832-13 (2022) and -14 (for z17), appendix B and the chapters of the
instructions. Floats: registers 0 to 15 are the high halves of the vector registers, and one place with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

FORMATS: Final[Mapping[str, Mapping[str, int]]] = {
    "E": {},
    "RR": {"1": 2, "2": 3},
    "RRE": {"1": 6, "2": 7},
    "RRF": {"1": 6, "2": 7, "3": 4, "m3": 4, "m4": 5},
    "RRD": {"1": 4, "2": 7, "3": 6},
    "RX": {"1": 2, "x": 3, "b": 4, "m1": 2},
    "RXY": {"1": 2, "x": 3, "b": 4, "m1": 2},
    "RXE": {"1": 2, "x": 3, "b": 4},
    "RXF": {"1": 8, "3": 2, "x": 3, "b": 4},
    "RS": {"1": 2, "3": 3, "b": 4},
    "RSY": {"1": 2, "3": 3, "b": 4},
    "RI": {"1": 2, "m1": 2},
    "RIL": {"1": 2, "m1": 2},
    "RIEa": {"1": 2},
    "RIEb": {"1": 2, "2": 3},
    "RIEc": {"1": 2},
    "RIEd": {"1": 2, "3": 3},
    "RIEf": {"1": 2, "2": 3},
    "RIEg": {"1": 2},
    "SI": {"b": 4},
    "SIY": {"b": 4},
    "SIL": {"b": 4},
    "VRIa": {"1": 2},
    "VRIb": {"1": 2},
    "VRIc": {"1": 2, "3": 3},
    "VRId": {"1": 2, "2": 3, "3": 4},
    "VRIk": {"1": 2, "2": 3, "3": 4, "4": 8},
    "VRRa": {"1": 2, "2": 3},
    "VRRb": {"1": 2, "2": 3, "3": 4},
    "VRRc": {"1": 2, "2": 3, "3": 4},
    "VRRd": {"1": 2, "2": 3, "3": 4, "4": 8},
    "VRRe": {"1": 2, "2": 3, "3": 4, "4": 8},
    "VRRf": {"1": 2, "2": 3, "3": 4},
    "VRSa": {"1": 2, "3": 3, "b": 4},
    "VRSb": {"1": 2, "3": 3, "b": 4},
    "VRSc": {"1": 2, "3": 3, "b": 4},
    "VRX": {"1": 2, "x": 3, "b": 4},
}  # fmt: skip
"""Fields by format: the number of the half byte (0 is the high half of the first byte). Displacements are at half byte
5 (12 bits) where there is a base."""
LONG_DISPLACEMENT: Final = frozenset({"RXY", "RSY", "SIY"})

_GENERAL: Final = """
0000 E trap
0001 E debugtrap
07 RR bcr g2 ?
0d RR basr >g1 g2
10 RR lpr >w1 w2 !
11 RR lnr >w1 w2 !
12 RR ltr >w1 w2 !
13 RR lcr >w1 w2 !
14 RR nr &w1 w2 !
15 RR clr w1 w2 !
16 RR or &w1 w2 !
17 RR xr &w1 w2 !
18 RR lr >w1 w2
19 RR cr w1 w2 !
1a RR ar &w1 w2 !
1b RR sr &w1 w2 !
1c RR mr >p1 o1 w2
1d RR dr &p1 w2
1e RR alr &w1 w2 !
1f RR slr &w1 w2 !
28 RR ldr >f1 f2
38 RR ler ~f1 f2
b24f RRE ear >w1
b252 RRE msr &w1 w2
b900 RRE lpgr >g1 g2 !
b901 RRE lngr >g1 g2 !
b902 RRE ltgr >g1 g2 !
b903 RRE lcgr >g1 g2 !
b904 RRE lgr >g1 g2
b906 RRE lgbr >g1 g2
b907 RRE lghr >g1 g2
b908 RRE agr &g1 g2 !
b909 RRE sgr &g1 g2 !
b90a RRE algr &g1 g2 !
b90b RRE slgr &g1 g2 !
b90c RRE msgr &g1 g2
b90d RRE dsgr >p1 o1 g2
b90f RRE lrvgr >g1 g2
b910 RRE lpgfr >g1 w2 !
b911 RRE lngfr >g1 w2 !
b912 RRE ltgfr >g1 w2 !
b913 RRE lcgfr >g1 w2 !
b914 RRE lgfr >g1 w2
b916 RRE llgfr >g1 w2
b917 RRE llgtr >g1 w2
b918 RRE agfr &g1 w2 !
b919 RRE sgfr &g1 w2 !
b91a RRE algfr &g1 w2 !
b91b RRE slgfr &g1 w2 !
b91c RRE msgfr &g1 w2
b91d RRE dsgfr >p1 o1 w2
b91f RRE lrvr >w1 w2
b920 RRE cgr g1 g2 !
b921 RRE clgr g1 g2 !
b926 RRE lbr >w1 w2
b927 RRE lhr >w1 w2
b930 RRE cgfr g1 w2 !
b931 RRE clgfr g1 w2 !
b960 RRF cgrt g1 g2
b961 RRF clgrt g1 g2
b964 RRF nngrk >g1 g2 g3 !
b965 RRF ocgrk >g1 g2 g3 !
b966 RRF nogrk >g1 g2 g3 !
b967 RRF nxgrk >g1 g2 g3 !
b968 RRE clzg >g1 g2
b969 RRE ctzg >g1 g2
b972 RRF crt w1 w2
b973 RRF clrt w1 w2
b974 RRF nnrk >w1 w2 w3 !
b975 RRF ocrk >w1 w2 w3 !
b976 RRF nork >w1 w2 w3 !
b977 RRF nxrk >w1 w2 w3 !
b980 RRE ngr &g1 g2 !
b981 RRE ogr &g1 g2 !
b982 RRE xgr &g1 g2 !
b983 RRE flogr >p1 g2 !
b984 RRE llgcr >g1 g2
b985 RRE llghr >g1 g2
b986 RRE mlgr >p1 o1 g2
b987 RRE dlgr &p1 g2
b988 RRE alcgr &g1 g2 ! ?
b989 RRE slbgr &g1 g2 ! ?
b994 RRE llcr >w1 w2
b995 RRE llhr >w1 w2
b996 RRE mlr >p1 o1 w2
b997 RRE dlr &p1 w2
b998 RRE alcr &w1 w2 ! ?
b999 RRE slbr &w1 w2 ! ?
b9e1 RRF popcnt >g1 g2 !
b9e2 RRF locgr &g1 g2 ?
b9e3 RRF selgr >g1 g2 g3 ?
b9e4 RRF ngrk >g1 g2 g3 !
b9e5 RRF ncgrk >g1 g2 g3 !
b9e6 RRF ogrk >g1 g2 g3 !
b9e7 RRF xgrk >g1 g2 g3 !
b9e8 RRF agrk >g1 g2 g3 !
b9e9 RRF sgrk >g1 g2 g3 !
b9ea RRF algrk >g1 g2 g3 !
b9eb RRF slgrk >g1 g2 g3 !
b9ec RRF mgrk >p1 g2 g3
b9ed RRF msgrkc >g1 g2 g3 !
b9f0 RRF selr >w1 w2 w3 ?
b9f2 RRF locr &w1 w2 ?
b9f4 RRF nrk >w1 w2 w3 !
b9f5 RRF ncrk >w1 w2 w3 !
b9f6 RRF ork >w1 w2 w3 !
b9f7 RRF xrk >w1 w2 w3 !
b9f8 RRF ark >w1 w2 w3 !
b9f9 RRF srk >w1 w2 w3 !
b9fa RRF alrk >w1 w2 w3 !
b9fb RRF slrk >w1 w2 w3 !
b9fd RRF msrkc >w1 w2 w3 !
a50 RI iihh &g1
a51 RI iihl &g1
a52 RI iilh &w1
a53 RI iill &w1
a54 RI nihh &g1 !
a55 RI nihl &g1 !
a56 RI nilh &w1 !
a57 RI nill &w1 !
a58 RI oihh &g1 !
a59 RI oihl &g1 !
a5a RI oilh &w1 !
a5b RI oill &w1 !
a5c RI llihh >g1
a5d RI llihl >g1
a5e RI llilh >g1
a5f RI llill >g1
a70 RI tmlh g1 !
a71 RI tmll g1 !
a72 RI tmhh g1 !
a73 RI tmhl g1 !
a74 RI brc ?
a75 RI bras >g1
a76 RI brct &w1
a77 RI brctg &g1
a78 RI lhi >w1
a79 RI lghi >g1
a7a RI ahi &w1 !
a7b RI aghi &g1 !
a7c RI mhi &w1
a7d RI mghi &g1
a7e RI chi w1 !
a7f RI cghi g1 !
c00 RIL larl >g1
c01 RIL lgfi >g1
c04 RIL brcl ?
c05 RIL brasl >g1
c06 RIL xihf &g1 !
c07 RIL xilf &w1 !
c08 RIL iihf &g1
c09 RIL iilf ~w1
c0a RIL nihf &g1 !
c0b RIL nilf &w1 !
c0c RIL oihf &g1 !
c0d RIL oilf &w1 !
c0e RIL llihf >g1
c0f RIL llilf >g1
c20 RIL msgfi &g1
c21 RIL msfi &w1
c24 RIL slgfi &g1 !
c25 RIL slfi &w1 !
c28 RIL agfi &g1 !
c29 RIL afi &w1 !
c2a RIL algfi &g1 !
c2b RIL alfi &w1 !
c2c RIL cgfi g1 !
c2d RIL cfi w1 !
c2e RIL clgfi g1 !
c2f RIL clfi w1 !
c42 RIL llhrl >w1 L2
c44 RIL lghrl >g1 L2
c45 RIL lhrl >w1 L2
c46 RIL llghrl >g1 L2
c47 RIL sthrl w1 S2
c48 RIL lgrl >g1 L8
c4b RIL stgrl g1 S8
c4c RIL lgfrl >g1 L4
c4d RIL lrl >w1 L4
c4e RIL llgfrl >g1 L4
c4f RIL strl w1 S4
c64 RIL cghrl g1 L2 !
c65 RIL chrl w1 L2 !
c66 RIL clghrl g1 L2 !
c67 RIL clhrl w1 L2 !
c68 RIL cgrl g1 L8 !
c6a RIL clgrl g1 L8 !
c6c RIL cgfrl g1 L4 !
c6d RIL crl w1 L4 !
c6e RIL clgfrl g1 L4 !
c6f RIL clrl w1 L4 !
ec42 RIEg lochi &w1 ?
ec46 RIEg locghi &g1 ?
ec54 RIEf rnsbg &g1 g2 !
ec55 RIEf risbg &g1 g2 !
ec56 RIEf rosbg &g1 g2 !
ec57 RIEf rxsbg &g1 g2 !
ec59 RIEf risbgn &g1 g2
ec64 RIEb cgrj g1 g2
ec65 RIEb clgrj g1 g2
ec70 RIEa cgit g1
ec71 RIEa clgit g1
ec72 RIEa cit w1
ec73 RIEa clfit w1
ec76 RIEb crj w1 w2
ec77 RIEb clrj w1 w2
ec7c RIEc cgij g1
ec7d RIEc clgij g1
ec7e RIEc cij w1
ec7f RIEc clij w1
ecd8 RIEd ahik >w1 w3 !
ecd9 RIEd aghik >g1 g3 !
ecda RIEd alhsik >w1 w3 !
ecdb RIEd alghsik >g1 g3 !
"""

_MEMORY: Final = """
40 RX sth w1 S2
41 RX la >g1
42 RX stc w1 S1
43 RX ic &w1 L1
48 RX lh >w1 L2
49 RX ch w1 L2 !
4a RX ah &w1 L2 !
4b RX sh &w1 L2 !
4c RX mh &w1 L2
50 RX st w1 S4
54 RX n &w1 L4 !
55 RX cl w1 L4 !
56 RX o &w1 L4 !
57 RX x &w1 L4 !
58 RX l >w1 L4
59 RX c w1 L4 !
5a RX a &w1 L4 !
5b RX s &w1 L4 !
5e RX al &w1 L4 !
5f RX sl &w1 L4 !
60 RX std f1 S8
68 RX ld >f1 L8
70 RX ste f1 S4
71 RX ms &w1 L4
78 RX le ~f1 L4
ba RS cs &w1 w3 U4 !
91 SI tm L1 !
92 SI mvi S1
94 SI ni U1 !
95 SI cli L1 !
96 SI oi U1 !
97 SI xi U1 !
e544 SIL mvhhi S2
e548 SIL mvghi S8
e54c SIL mvhi S4
e302 RXY ltg >g1 L8 !
e304 RXY lg >g1 L8
e308 RXY ag &g1 L8 !
e309 RXY sg &g1 L8 !
e30a RXY alg &g1 L8 !
e30b RXY slg &g1 L8 !
e30c RXY msg &g1 L8
e30d RXY dsg >p1 o1 L8
e30f RXY lrvg >g1 L8
e312 RXY lt >w1 L4 !
e314 RXY lgf >g1 L4
e315 RXY lgh >g1 L2
e316 RXY llgf >g1 L4
e318 RXY agf &g1 L4 !
e319 RXY sgf &g1 L4 !
e31a RXY algf &g1 L4 !
e31b RXY slgf &g1 L4 !
e31c RXY msgf &g1 L4
e31e RXY lrv >w1 L4
e31f RXY lrvh ~w1 L2
e320 RXY cg g1 L8 !
e321 RXY clg g1 L8 !
e324 RXY stg g1 S8
e32f RXY strvg g1 S8
e330 RXY cgf g1 L4 !
e331 RXY clgf g1 L4 !
e334 RXY cgh g1 L2 !
e338 RXY agh &g1 L2 !
e339 RXY sgh &g1 L2 !
e33c RXY mgh &g1 L2
e33e RXY strv w1 S4
e33f RXY strvh w1 S2
e350 RXY sty w1 S4
e351 RXY msy &w1 L4
e354 RXY ny &w1 L4 !
e355 RXY cly w1 L4 !
e356 RXY oy &w1 L4 !
e357 RXY xy &w1 L4 !
e358 RXY ly >w1 L4
e359 RXY cy w1 L4 !
e35a RXY ay &w1 L4 !
e35b RXY sy &w1 L4 !
e35e RXY aly &w1 L4 !
e35f RXY sly &w1 L4 !
e360 RXY lxab >g1
e361 RXY llxab >g1
e362 RXY lxah >g1
e363 RXY llxah >g1
e364 RXY lxaf >g1
e365 RXY llxaf >g1
e366 RXY lxag >g1
e367 RXY llxag >g1
e368 RXY lxaq >g1
e369 RXY llxaq >g1
e370 RXY sthy w1 S2
e371 RXY lay >g1
e372 RXY stcy w1 S1
e373 RXY icy &w1 L1
e376 RXY lb >w1 L1
e377 RXY lgb >g1 L1
e378 RXY lhy >w1 L2
e379 RXY chy w1 L2 !
e37a RXY ahy &w1 L2 !
e37b RXY shy &w1 L2 !
e37c RXY mhy &w1 L2
e380 RXY ng &g1 L8 !
e381 RXY og &g1 L8 !
e382 RXY xg &g1 L8 !
e386 RXY mlg >p1 o1 L8
e387 RXY dlg &p1 L8
e388 RXY alcg &g1 L8 ! ?
e389 RXY slbg &g1 L8 ! ?
e38e RXY stpq p1 S16
e38f RXY lpq >p1 L16
e390 RXY llgc >g1 L1
e391 RXY llgh >g1 L2
e394 RXY llc >w1 L1
e395 RXY llh >w1 L2
e398 RXY alc &w1 L4 ! ?
e399 RXY slb &w1 L4 ! ?
eb04 RSY lmg >r L8
eb0a RSY srag >g1 g3 !
eb0c RSY srlg >g1 g3
eb0d RSY sllg >g1 g3
eb14 RSY csy &w1 w3 U4 !
eb1c RSY rllg >g1 g3
eb1d RSY rll >w1 w3
eb24 RSY stmg r S8
eb30 RSY csg &g1 g3 U8 !
eb3e RSY cdsg &p1 p3 U16 !
eb51 SIY tmy L1 !
eb52 SIY mviy S1
eb54 SIY niy U1 !
eb55 SIY cliy L1 !
eb56 SIY oiy U1 !
eb57 SIY xiy U1 !
ebdc RSY srak >w1 w3 !
ebde RSY srlk >w1 w3
ebdf RSY sllk >w1 w3
ebe2 RSY locg &g1 L8 ?
ebe3 RSY stocg g1 U8 ?
ebe4 RSY lang >g1 g3 U8 !
ebe6 RSY laog >g1 g3 U8 !
ebe7 RSY laxg >g1 g3 U8 !
ebe8 RSY laag >g1 g3 U8 !
ebea RSY laalg >g1 g3 U8 !
ebf2 RSY loc &w1 L4 ?
ebf3 RSY stoc w1 U4 ?
ebf4 RSY lan >w1 w3 U4 !
ebf6 RSY lao >w1 w3 U4 !
ebf7 RSY lax >w1 w3 U4 !
ebf8 RSY laa >w1 w3 U4 !
ebfa RSY laal >w1 w3 U4 !
ed64 RXY ley ~f1 L4
ed65 RXY ldy >f1 L8
ed66 RXY stey f1 S4
ed67 RXY stdy f1 S8
"""

_FLOAT: Final = """
b300 RRE lpebr >f1 f2 !
b301 RRE lnebr >f1 f2 !
b302 RRE ltebr >f1 f2 !
b303 RRE lcebr >f1 f2 !
b304 RRE ldebr >f1 f2
b305 RRE lxdbr >q1 f2
b306 RRE lxebr >q1 f2
b308 RRE kebr f1 f2 !
b309 RRE cebr f1 f2 !
b30a RRE aebr &f1 f2 !
b30b RRE sebr &f1 f2 !
b30c RRE mdebr &f1 f2
b30d RRE debr &f1 f2
b30e RRD maebr &f1 f2 f3
b30f RRD msebr &f1 f2 f3
b310 RRE lpdbr >f1 f2 !
b311 RRE lndbr >f1 f2 !
b312 RRE ltdbr >f1 f2 !
b313 RRE lcdbr >f1 f2 !
b314 RRE sqebr >f1 f2
b315 RRE sqdbr >f1 f2
b316 RRE sqxbr >q1 q2
b317 RRE meebr &f1 f2
b318 RRE kdbr f1 f2 !
b319 RRE cdbr f1 f2 !
b31a RRE adbr &f1 f2 !
b31b RRE sdbr &f1 f2 !
b31c RRE mdbr &f1 f2
b31d RRE ddbr &f1 f2
b31e RRD madbr &f1 f2 f3
b31f RRD msdbr &f1 f2 f3
b340 RRE lpxbr >q1 q2 !
b341 RRE lnxbr >q1 q2 !
b342 RRE ltxbr >q1 q2 !
b343 RRE lcxbr >q1 q2 !
b344 RRF ledbra >f1 f2
b345 RRF ldxbra >f1 q2
b346 RRF lexbra >f1 q2
b347 RRF fixbra >q1 q2
b348 RRE kxbr q1 q2 !
b349 RRE cxbr q1 q2 !
b34a RRE axbr &q1 q2 !
b34b RRE sxbr &q1 q2 !
b34c RRE mxbr &q1 q2
b34d RRE dxbr &q1 q2
b357 RRF fiebra >f1 f2
b35f RRF fidbra >f1 f2
b365 RRE lxr >q1 q2
b370 RRE lpdfr >f1 f2
b371 RRE lndfr >f1 f2
b372 RRF cpsdr >f1 f2 f3
b373 RRE lcdfr >f1 f2
b390 RRF celfbr >f1 w2
b391 RRF cdlfbr >f1 w2
b392 RRF cxlfbr >q1 w2
b394 RRF cefbra >f1 w2
b395 RRF cdfbra >f1 w2
b396 RRF cxfbra >q1 w2
b398 RRF cfebra >w1 f2 !
b399 RRF cfdbra >w1 f2 !
b39a RRF cfxbra >w1 q2 !
b39c RRF clfebr >w1 f2 !
b39d RRF clfdbr >w1 f2 !
b39e RRF clfxbr >w1 q2 !
b3a0 RRF celgbr >f1 g2
b3a1 RRF cdlgbr >f1 g2
b3a2 RRF cxlgbr >q1 g2
b3a4 RRF cegbra >f1 g2
b3a5 RRF cdgbra >f1 g2
b3a6 RRF cxgbra >q1 g2
b3a8 RRF cgebra >g1 f2 !
b3a9 RRF cgdbra >g1 f2 !
b3aa RRF cgxbra >g1 q2 !
b3ac RRF clgebr >g1 f2 !
b3ad RRF clgdbr >g1 f2 !
b3ae RRF clgxbr >g1 q2 !
b3c1 RRE ldgr >f1 g2
b3cd RRE lgdr >g1 f2
"""

_VECTOR: Final = """
e601 VRX vlebrh ~v1 L2
e602 VRX vlebrg ~v1 L8
e603 VRX vlebrf ~v1 L4
e604 VRX vllebrz >v1 Lm
e605 VRX vlbrrep >v1 Lm
e606 VRX vlbr >v1 L16
e607 VRX vler >v1 L16
e609 VRX vstebrh v1 S2
e60a VRX vstebrg v1 S8
e60b VRX vstebrf v1 S4
e60e VRX vstbr v1 S16
e60f VRX vster v1 S16
e700 VRX vleb ~v1 L1
e701 VRX vleh ~v1 L2
e702 VRX vleg ~v1 L8
e703 VRX vlef ~v1 L4
e704 VRX vllez >v1 Lm
e705 VRX vlrep >v1 Lm
e706 VRX vl >v1 L16
e708 VRX vsteb v1 S1
e709 VRX vsteh v1 S2
e70a VRX vsteg v1 S8
e70b VRX vstef v1 S4
e70e VRX vst v1 S16
e721 VRSc vlgv >g1 v3
e722 VRSb vlvg ~v1 g3
e730 VRSa vesl >v1 v3
e733 VRSa verll >v1 v3
e738 VRSa vesrl >v1 v3
e73a VRSa vesra >v1 v3
e740 VRIa vleib ~v1
e741 VRIa vleih ~v1
e742 VRIa vleig ~v1
e743 VRIa vleif ~v1
e744 VRIa vgbm >v1
e745 VRIa vrepi >v1
e746 VRIb vgm >v1
e74d VRIc vrep >v1 v3
e750 VRRa vpopct >v1 v2
e752 VRRa vctz >v1 v2
e753 VRRa vclz >v1 v2
e756 VRRa vlr >v1 v2
e75f VRRa vseg >v1 v2
e760 VRRc vmrl >v1 v2 v3
e761 VRRc vmrh >v1 v2 v3
e762 VRRf vlvgp >v1 g2 g3
e768 VRRc vn >v1 v2 v3
e769 VRRc vnc >v1 v2 v3
e76a VRRc vo >v1 v2 v3
e76b VRRc vno >v1 v2 v3
e76c VRRc vnx >v1 v2 v3
e76d VRRc vx >v1 v2 v3
e76e VRRc vnn >v1 v2 v3
e76f VRRc voc >v1 v2 v3
e770 VRRc veslv >v1 v2 v3
e773 VRRc verllv >v1 v2 v3
e774 VRRc vsl >v1 v2 v3
e775 VRRc vslb >v1 v2 v3
e777 VRId vsldb >v1 v2 v3
e778 VRRc vesrlv >v1 v2 v3
e77a VRRc vesrav >v1 v2 v3
e77c VRRc vsrl >v1 v2 v3
e77d VRRc vsrlb >v1 v2 v3
e77e VRRc vsra >v1 v2 v3
e77f VRRc vsrab >v1 v2 v3
e784 VRRc vpdi >v1 v2 v3
e785 VRRc vbperm >v1 v2 v3
e786 VRId vsld >v1 v2 v3
e787 VRId vsrd >v1 v2 v3
e788 VRIk veval >v1 v2 v3 v4
e789 VRRd vblend >v1 v2 v3 v4
e78c VRRe vperm >v1 v2 v3 v4
e78d VRRe vsel >v1 v2 v3 v4
e78e VRRe vfms >v1 v2 v3 v4
e78f VRRe vfma >v1 v2 v3 v4
e794 VRRc vpk >v1 v2 v3
e795 VRRb vpkls >v1 v2 v3 !5
e797 VRRb vpks >v1 v2 v3 !5
e79e VRRe vfnms >v1 v2 v3 v4
e79f VRRe vfnma >v1 v2 v3 v4
e7a1 VRRc vmlh >v1 v2 v3
e7a2 VRRc vml >v1 v2 v3
e7a3 VRRc vmh >v1 v2 v3
e7a4 VRRc vmle >v1 v2 v3
e7a5 VRRc vmlo >v1 v2 v3
e7a6 VRRc vme >v1 v2 v3
e7a7 VRRc vmo >v1 v2 v3
e7a9 VRRd vmalh >v1 v2 v3 v4
e7aa VRRd vmal >v1 v2 v3 v4
e7ab VRRd vmah >v1 v2 v3 v4
e7ac VRRd vmale >v1 v2 v3 v4
e7ad VRRd vmalo >v1 v2 v3 v4
e7ae VRRd vmae >v1 v2 v3 v4
e7af VRRd vmao >v1 v2 v3 v4
e7b0 VRRc vdl >v1 v2 v3
e7b1 VRRc vrl >v1 v2 v3
e7b2 VRRc vd >v1 v2 v3
e7b3 VRRc vr >v1 v2 v3
e7b8 VRRd vmsl >v1 v2 v3 v4
e7b9 VRRd vaccc >v1 v2 v3 v4
e7bb VRRd vac >v1 v2 v3 v4
e7bd VRRd vsbcbi >v1 v2 v3 v4
e7bf VRRd vsbi >v1 v2 v3 v4
e7c0 VRRa vclfp >v1 v2
e7c1 VRRa vcfpl >v1 v2
e7c2 VRRa vcsfp >v1 v2
e7c3 VRRa vcfps >v1 v2
e7c4 VRRa vfll >v1 v2
e7c5 VRRa vflr >v1 v2
e7c7 VRRa vfi >v1 v2
e7ca VRRa wfk v1 v2 !
e7cb VRRa wfc v1 v2 !
e7cc VRRa vfpso >v1 v2
e7ce VRRa vfsq >v1 v2
e7d4 VRRa vupll >v1 v2
e7d5 VRRa vuplh >v1 v2
e7d6 VRRa vupl >v1 v2
e7d7 VRRa vuph >v1 v2
e7d8 VRRa vtm v1 v2 !
e7d9 VRRa vecl v1 v2 !
e7db VRRa vec v1 v2 !
e7de VRRa vlc >v1 v2
e7df VRRa vlp >v1 v2
e7e2 VRRc vfs >v1 v2 v3
e7e3 VRRc vfa >v1 v2 v3
e7e5 VRRc vfd >v1 v2 v3
e7e7 VRRc vfm >v1 v2 v3
e7e8 VRRc vfce >v1 v2 v3 !6
e7ea VRRc vfche >v1 v2 v3 !6
e7eb VRRc vfch >v1 v2 v3 !6
e7ee VRRc vfmin >v1 v2 v3
e7ef VRRc vfmax >v1 v2 v3
e7f0 VRRc vavgl >v1 v2 v3
e7f1 VRRc vacc >v1 v2 v3
e7f2 VRRc vavg >v1 v2 v3
e7f3 VRRc va >v1 v2 v3
e7f5 VRRc vscbi >v1 v2 v3
e7f7 VRRc vs >v1 v2 v3
e7f8 VRRb vceq >v1 v2 v3 !5
e7f9 VRRb vchl >v1 v2 v3 !5
e7fb VRRb vch >v1 v2 v3 !5
e7fc VRRc vmnl >v1 v2 v3
e7fd VRRc vmxl >v1 v2 v3
e7fe VRRc vmn >v1 v2 v3
e7ff VRRc vmx >v1 v2 v3
"""


class Row(NamedTuple):
    """One line. `condition`: '', '!', '!5' or '!6' (see the legend)."""

    name: str
    format: str
    operands: tuple[str, ...]
    memory: str = ""
    condition: str = ""
    conditional: bool = False


def _row(words: list[str]) -> Row:
    _, form, name, *operands = words
    registers = tuple(o for o in operands if o[0] in ">&~gwpofqvr" and o not in ("!", "?"))
    memory = next((o for o in operands if o[0] in "LSU"), "")
    condition = next((o for o in operands if o[0] == "!"), "")
    return Row(name, form, registers, memory, condition, "?" in operands)


def _rows() -> dict[int, Row]:
    """Rows by opcode. Opcodes of different lengths have different keys: two, three, four digits."""
    rows: dict[int, Row] = {}
    for line in "".join((_GENERAL, _MEMORY, _FLOAT, _VECTOR)).split("\n"):
        words = line.split()
        if words:
            rows[len(words[0]) << 16 | int(words[0], 16)] = _row(words)
    return rows


ROWS: Final = _rows()
