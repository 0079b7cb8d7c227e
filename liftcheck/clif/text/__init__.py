"""CLIF as text: read, printed, translated between dialects; filetests with their run lines and buffers.

The one idea: what is read is data of `liftcheck.clif.ir` and nothing else, so that nothing above knows the notation.
"""
