// bf16 weights.
#import half
