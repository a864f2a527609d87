"""Excerpts of GFF3 as the databases write it; contigs are made up, so places are small."""

# ruff: noqa: E501 rows are as long as the databases write them

SGD = """\
##gff-version 3
#date Tue Jan 13 13:06:13 2015
chrI	SGD	chromosome	1	60	.	.	.	ID=chrI;dbxref=NCBI:NC_001133;Name=chrI
chrI	SGD	gene	4	9	.	+	.	ID=YAL1W;Name=YAL1W;gene=ABC1;Note=Protein%20of%3B%20unknown
chrI	SGD	CDS	4	9	.	+	0	Parent=YAL1W_mRNA;Name=YAL1W_CDS;orf_classification=Dubious
chrI	SGD	mRNA	4	9	.	+	.	ID=YAL1W_mRNA;Name=YAL1W_mRNA;Parent=YAL1W
chrI	SGD	transposable_element_gene	21	34	.	+	.	ID=YBL1W-B;Name=YBL1W-B
chrI	SGD	CDS	21	26	.	+	0	Parent=YBL1W-B;Name=YBL1W-B_CDS
chrI	SGD	CDS	28	34	.	+	0	Parent=YBL1W-B;Name=YBL1W-B_CDS
chrI	SGD	plus_1_translational_frameshift	27	27	.	+	.	Parent=YBL1W-B;Name=x
chrI	SGD	blocked_reading_frame	40	45	.	-	.	ID=YDR1C;Name=YDR1C
chrI	SGD	CDS	40	45	.	-	0	Parent=YDR1C;Name=YDR1C_CDS
###
##FASTA
>chrI
ACGT
"""

ENSEMBL = """\
##gff-version 3
##sequence-region   1 1 100
#!genome-build  GRCh38.p14
1	Ensembl	chromosome	1	100	.	.	.	ID=chromosome:1;Alias=CM000663.2
###
1	havana	gene	11	50	.	-	.	ID=gene:ENSG01;Name=OR4F5;biotype=protein_coding;\
description=olfactory receptor [Source:HGNC Symbol%3BAcc:HGNC:14825];gene_id=ENSG01;version=7
1	havana	mRNA	11	50	.	-	.	ID=transcript:ENST01;Parent=gene:ENSG01;biotype=protein_coding;\
tag=basic;transcript_id=ENST01;version=2
1	havana	three_prime_UTR	11	14	.	-	.	Parent=transcript:ENST01
1	havana	exon	11	20	.	-	.	Parent=transcript:ENST01;Name=ENSE02;exon_id=ENSE02;rank=2
1	havana	CDS	15	20	.	-	2	ID=CDS:ENSP01;Parent=transcript:ENST01;protein_id=ENSP01
1	havana	CDS	41	47	.	-	0	ID=CDS:ENSP01;Parent=transcript:ENST01;protein_id=ENSP01
1	havana	exon	41	50	.	-	.	Parent=transcript:ENST01;Name=ENSE01;exon_id=ENSE01;rank=1
###
1	havana	ncRNA_gene	60	70	.	+	.	ID=gene:ENSG02;Name=MIR1;biotype=lncRNA;gene_id=ENSG02;version=1
1	havana	lnc_RNA	60	70	.	+	.	ID=transcript:ENST02;Parent=gene:ENSG02;biotype=lncRNA;\
transcript_id=ENST02;version=1
1	havana	exon	60	70	.	+	.	Parent=transcript:ENST02;Name=ENSE03
###
"""

NCBI = """\
##gff-version 3
#!gff-spec-version 1.21
##sequence-region NC_1.1 1 60
NC_1.1	RefSeq	region	1	60	.	+	.	ID=NC_1.1:1..60;Dbxref=taxon:562;Is_circular=true;Name=ANONYMOUS
NC_1.1	RefSeq	gene	1	18	.	+	.	ID=gene-b1;Name=dnaX;gbkey=Gene;gene=dnaX;\
gene_biotype=protein_coding;locus_tag=b1
NC_1.1	RefSeq	CDS	1	18	.	+	0	ID=cds-NP_1.1;Parent=gene-b1;gene=dnaX;locus_tag=b1;\
product=subunit tau%2C long;protein_id=NP_1.1;transl_table=11
NC_1.1	RefSeq	CDS	1	9	.	+	0	ID=cds-NP_2.1;Parent=gene-b1;exception=ribosomal slippage;\
gene=dnaX;locus_tag=b1;product=subunit gamma;protein_id=NP_2.1;transl_table=11
NC_1.1	RefSeq	CDS	9	14	.	+	0	ID=cds-NP_2.1;Parent=gene-b1;exception=ribosomal slippage;\
gene=dnaX;locus_tag=b1;product=subunit gamma;protein_id=NP_2.1;transl_table=11
NC_1.1	RefSeq	pseudogene	20	34	.	-	.	ID=gene-b2;Name=crl;gene=crl;gene_biotype=pseudogene;\
locus_tag=b2;pseudo=true
NC_1.1	RefSeq	CDS	29	34	.	-	0	ID=cds-x%3D1;Parent=gene-b2;locus_tag=b2;pseudo=true;transl_table=11
NC_1.1	RefSeq	CDS	20	25	.	-	1	ID=cds-x%3D1;Parent=gene-b2;locus_tag=b2;pseudo=true;transl_table=11
NC_1.1	RefSeq	gene	55	66	.	+	.	ID=gene-b3;Name=b3;gbkey=Gene;locus_tag=b3
NC_1.1	RefSeq	CDS	55	66	.	+	0	ID=cds-NP_3.1;Parent=gene-b3;locus_tag=b3;protein_id=NP_3.1;\
transl_table=11
"""

TRANS_SPLICED = """\
##gff-version 3
NC_2.1	RefSeq	gene	31	36	.	-	.	ID=gene-rps12;exception=trans-splicing;gene=rps12;part=1
NC_2.1	RefSeq	gene	4	20	.	+	.	ID=gene-rps12;exception=trans-splicing;gene=rps12;part=2
NC_2.1	RefSeq	CDS	31	36	.	-	0	ID=cds-NP_9;Parent=gene-rps12;exception=trans-splicing;protein_id=NP_9
NC_2.1	RefSeq	CDS	4	9	.	+	0	ID=cds-NP_9;Parent=gene-rps12;exception=trans-splicing;protein_id=NP_9
NC_2.1	RefSeq	CDS	18	20	.	+	0	ID=cds-NP_9;Parent=gene-rps12;exception=trans-splicing;protein_id=NP_9
"""

WORMBASE = """\
I	RNASeq_splice	intron	12	30	4	+	.	Name=RNASeq intron
I	WormBase	gene	5	40	.	+	.	ID=Gene:WBGene1;Name=WBGene1;locus=nlp-40;sequence_name=Y74C9A.2;\
biotype=protein_coding;Alias=nlp-40,Y74C9A.2
I	WormBase	mRNA	5	40	.	+	.	ID=Transcript:Y2a.1;Parent=Gene:WBGene1;Name=Y2a.1
I	WormBase	mRNA	7	40	.	+	.	ID=Transcript:Y2a.2;Parent=Gene:WBGene1;Name=Y2a.2
I	WormBase	CDS	31	36	.	+	0	ID=CDS:Y2a;Parent=Transcript:Y2a.1,Transcript:Y2a.2;Name=Y2a
I	WormBase	CDS	9	11	.	+	0	ID=CDS:Y2a;Parent=Transcript:Y2a.1,Transcript:Y2a.2;Name=Y2a
"""

FLYBASE = """\
2L	FlyBase	gene	5	40	.	-	.	ID=FBgn01;Name=l(2)gl;fullname=lethal (2) giant larvae;Alias=Lgl,p127
2L	FlyBase	mRNA	5	40	.	-	.	ID=FBtr01;Name=l(2)gl-RB;Parent=FBgn01
2L	FlyBase	mRNA	5	40	.	-	.	ID=FBtr02;Name=l(2)gl-RD;Parent=FBgn01
2L	FlyBase	exon	5	20	.	-	.	Parent=FBtr01,FBtr02
2L	FlyBase	CDS	9	11	.	-	0	Parent=FBtr01
2L	FlyBase	CDS	9	11	.	-	0	Parent=FBtr02
2L	FlyBase	CDS	31	36	.	-	0	Parent=FBtr01,FBtr02
2L	FlyBase	exon	30	40	.	-	.	Parent=FBtr01
"""

TAIR = """\
Chr1	TAIR10	gene	5	40	.	+	.	ID=AT1G1;Note=protein_coding_gene;Name=AT1G1
Chr1	TAIR10	mRNA	5	40	.	+	.	ID=AT1G1.1;Parent=AT1G1;Name=AT1G1.1;Index=1
Chr1	TAIR10	protein	9	36	.	+	.	ID=AT1G1.1-Protein;Name=AT1G1.1;Derives_from=AT1G1.1
Chr1	TAIR10	exon	5	11	.	+	.	Parent=AT1G1.1
Chr1	TAIR10	CDS	9	11	.	+	0	Parent=AT1G1.1,AT1G1.1-Protein;
Chr1	TAIR10	exon	31	40	.	+	.	Parent=AT1G1.1
Chr1	TAIR10	CDS	31	36	.	+	0	Parent=AT1G1.1,AT1G1.1-Protein;
"""
