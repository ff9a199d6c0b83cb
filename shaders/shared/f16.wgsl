// f16 weights.
#import half
